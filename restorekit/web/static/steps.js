// What is to be done: a task, or several one after the other, each with its form.

import { byId, element } from "./dom.js";
import { Form, PAINTED } from "./form.js";

export class Steps {
  constructor(tasks) {
    this.tasks = tasks;
    this.changed = () => {}; // told of everything that is set
    this.steps = [];
    this.place = byId("steps");
    byId("add-step").addEventListener("click", () => this.add("denoise"));
    this.add(tasks[0].name);
  }

  add(name) {
    const select = element("select", { className: "task", "aria-label": "Task" },
      ...this.tasks.map((task) => element("option", { value: task.name }, task.title)));
    const step = { select, form: null, body: element("div", {}) };
    const remove = element("button", {
      className: "plain", title: "Leave this task out",
      onclick: () => { this.steps = this.steps.filter((other) => other !== step); this.show(); },
    }, "Remove");
    step.head = element("div", { className: "head" }, select, remove);
    step.remove = remove;
    select.addEventListener("change", () => { this.choose(step, select.value); this.changed(); });
    select.value = this.tasks.some((task) => task.name === name) ? name : this.tasks.at(-1).name;
    this.steps.push(step);
    this.choose(step, select.value);
    this.show();
    if (this.steps.length > 1) select.focus();
  }

  choose(step, name) {
    step.form = new Form(this.tasks.find((task) => task.name === name), () => this.changed());
    step.body.replaceChildren(element("p", { className: "quiet" }, step.form.help), ...step.form.shown());
  }

  show() {
    for (const step of this.steps) step.remove.hidden = this.steps.length === 1;
    this.place.replaceChildren(...this.steps.map((step) => element("section", { className: "step" }, step.head, step.body)));
    this.changed();
  }

  // The option whose mask can be painted, if a task has one.
  mask() {
    return this.steps.map((step) => step.form.mask()).find(Boolean);
  }

  get paints() {
    return this.mask()?.value === PAINTED;
  }

  // painting: what stands for "painted here".
  asked(painting) {
    return this.steps.map(({ form }) => {
      const values = form.values();
      const field = form.mask();
      if (field?.value === PAINTED) values[field.described.name] = painting;
      return { task: form.name, values };
    });
  }
}

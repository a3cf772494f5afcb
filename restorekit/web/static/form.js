// Forms of the commands' own options, as the server describes them.

import { element } from "./dom.js";

export const PAINTED = "painted"; // of a mask's choices

let number = 0;

// One option: a label, something to set, and what it means.
class Field {
  constructor(described, changed) {
    this.described = described;
    this.id = `option-${++number}`;
    this.changed = changed;
    this.input = this.made();
    this.input.id = this.id;
    this.input.name = described.name;
    this.input.setAttribute("aria-describedby", `${this.id}-help`);
    this.input.addEventListener("change", () => changed(this));
  }

  made() {
    const { kind, choices, hint, words, multiple } = this.described;
    const fallback = this.described.default;
    if (kind === "flag") return element("input", { type: "checkbox", checked: fallback === true });
    if (kind === "choice") {
      const plain = fallback === null ? "the usual, see below" : `${fallback} (default)`;
      const options = choices.filter((choice) => choice !== fallback)
        .map((choice) => element("option", { value: choice }, choice));
      return element("select", {}, element("option", { value: "" }, plain), ...options);
    }
    if (kind === "mask") {
      return element("select", {},
        element("option", { value: PAINTED }, "painted here"),
        ...words.map((word) => element("option", { value: word }, word)),
        element("option", { value: "" }, "none"));
    }
    if (multiple) return element("textarea", { rows: 2, placeholder: "one a line" });
    const input = element("input", { type: "text", placeholder: fallback === null ? hint || "" : String(fallback) });
    if (kind === "number" || kind === "whole") input.inputMode = "decimal";
    return input;
  }

  // A slider beside a number that has both bounds.
  slider() {
    const { kind, min, max } = this.described;
    const fallback = this.described.default;
    if (kind !== "number" || min === null || min === undefined || max === null || max === undefined) return null;
    if (typeof fallback !== "number") return null;
    const slider = element("input", { type: "range", min, max, step: max - min > 2 ? 0.1 : 0.01, value: fallback, "aria-label": this.described.label });
    slider.addEventListener("input", () => { this.input.value = slider.value; });
    slider.addEventListener("change", () => this.changed(this));
    this.input.addEventListener("input", () => { slider.value = this.input.value || fallback; });
    return slider;
  }

  shown() {
    const help = element("small", { id: `${this.id}-help` }, this.described.help);
    const label = element("label", { htmlFor: this.id }, this.described.label);
    if (this.described.kind === "flag") return element("div", { className: "field flag" }, this.input, label, help);
    return element("div", { className: "field" }, label, this.input, this.slider() || "", help);
  }

  get value() {
    if (this.described.kind === "flag") {
      const fallback = this.described.default === true;
      return this.input.checked === fallback ? undefined : this.input.checked;
    }
    const text = this.input.value.trim();
    if (!text) return undefined;
    return this.described.multiple ? text.split("\n").map((line) => line.trim()).filter(Boolean) : text;
  }
}

// Plain headings are open, the others are for who looks for them.
const OPEN = ["What", "How strong"];
const OF_FILES = "From other files of the folder";
const OF_MASKS = "More about the mask"; // which painting does not need

export class Form {
  constructor(described, changed) {
    this.name = described.name;
    this.help = described.help;
    this.fields = described.fields.map((field) => new Field(field, changed));
  }

  shown() {
    const groups = new Map();
    for (const field of this.fields) {
      const heading = this.heading(field.described);
      if (!groups.has(heading)) groups.set(heading, []);
      groups.get(heading).push(field.shown());
    }
    return Array.from(groups, ([heading, fields]) =>
      element("details", { className: "group", open: OPEN.includes(heading) },
        element("summary", {}, heading), ...fields));
  }

  heading({ name, kind, heading }) {
    const mask = this.mask()?.described.name;
    if (!OPEN.includes(heading)) return heading;
    if (mask && name !== mask && name.includes(mask)) return OF_MASKS;
    return kind === "file" ? OF_FILES : heading;
  }

  values() {
    const given = this.fields.map((field) => [field.described.name, field.value]);
    return Object.fromEntries(given.filter(([, value]) => value !== undefined));
  }

  mask() {
    return this.fields.find((field) => field.described.kind === "mask");
  }
}

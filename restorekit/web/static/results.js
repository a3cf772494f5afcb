// What was made of a photo: before and after, or several samples to choose from.

import { address, post } from "./api.js";
import { byId, element } from "./dom.js";
import { Layer } from "./layer.js";

const NAMES = { mean: "their mean", deviation: "where they differ" };

export class Results {
  // changed(): a result is shown, or none any more.
  constructor(viewer, changed) {
    this.viewer = viewer;
    this.changed = changed;
    this.made = null; // {job, index, asked, saved}; asked: what it was made of, as text
    this.layer = null;
    this.split = byId("split");
    this.split.addEventListener("input", () => this.slide(this.split.value / 100));
    byId("back").addEventListener("click", () => this.look(!viewer.after));
  }

  slide(share) {
    this.viewer.split = share;
    this.split.value = Math.round(100 * share);
    this.viewer.changed();
  }

  get roles() {
    return this.made ? this.made.job.result.roles : [];
  }

  get several() {
    return this.roles.includes("deviation");
  }

  // Shows what was made; null: there is nothing.
  async show(made) {
    this.made = made;
    this.layer = null;
    byId("samples").replaceChildren(...(this.several ? this.roles.map((role, index) => this.sample(role, index)) : []));
    byId("keep").textContent = this.several ? "Keep this one" : "Save";
    if (!made) return this.look(false);
    return this.choose(made.index);
  }

  sample(role, index) {
    const { job, index: first } = this.made;
    const chosen = element("input", { type: "radio", name: "sample", value: index, checked: index === first, onchange: () => this.choose(index) });
    const picture = element("img", { alt: "", src: address("/api/view", { job: job.id, index, side: 200 }) });
    return element("label", { className: "sample" }, chosen, picture, NAMES[role] ?? (/^\d+$/.test(role) ? `sample ${role}` : role));
  }

  async choose(index) {
    const { made } = this;
    made.index = index;
    const layer = new Layer({ job: made.job.id, index }, made.job.result.size, this.viewer.size, () => this.viewer.changed());
    await layer.open();
    if (this.made !== made || made.index !== index) return;
    this.layer = layer;
    this.look(true);
  }

  // At before and after, or at the photo alone; what was made stays.
  look(after) {
    const layer = after ? this.layer : null;
    this.viewer.after = layer;
    this.viewer.canvas.dataset.shows = layer ? "after" : "before";
    byId("comparing").hidden = !this.layer;
    byId("slide").hidden = !layer;
    byId("samples").hidden = !layer || !this.several;
    byId("back").textContent = layer ? "Back to the photo" : "Show the result";
    const other = layer && layer.size.join() !== this.viewer.size.join();
    byId("made").textContent = other ? `Restored: ${layer.size.join(" × ")}` : "";
    this.changed();
  }

  // It may be saved where what is asked for now would make the same.
  match(asked) {
    const same = this.made?.asked === asked;
    byId("keep").disabled = !this.layer || !same;
    byId("outdated").hidden = !this.viewer.after || same;
  }

  async keep() {
    const { made } = this;
    const { saved } = await post(`/api/jobs/${made.job.id}/keep`, { index: made.index });
    made.saved = true;
    return saved;
  }
}

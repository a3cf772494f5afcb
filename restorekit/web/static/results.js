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
    this.job = null;
    this.split = byId("split");
    this.split.addEventListener("input", () => this.slide(this.split.value / 100));
    byId("back").addEventListener("click", () => this.clear());
  }

  slide(share) {
    this.viewer.split = share;
    this.split.value = Math.round(100 * share);
    this.viewer.changed();
  }

  async show(job) {
    this.job = job;
    const { roles } = job.result;
    byId("comparing").hidden = false;
    byId("keep").disabled = false;
    const several = roles.includes("deviation");
    byId("samples").hidden = !several;
    byId("samples").replaceChildren(...(several ? roles.map((role, index) => this.sample(role, index)) : []));
    byId("keep").textContent = several ? "Keep this one" : "Save";
    await this.choose(0);
    this.split.focus();
  }

  sample(role, index) {
    const chosen = element("input", { type: "radio", name: "sample", value: index, checked: index === 0, onchange: () => this.choose(index) });
    const picture = element("img", { alt: "", src: address("/api/view", { job: this.job.id, index, side: 200 }) });
    return element("label", { className: "sample" }, chosen, picture, NAMES[role] ?? (/^\d+$/.test(role) ? `sample ${role}` : role));
  }

  async choose(index) {
    this.index = index;
    const job = this.job;
    const layer = new Layer({ job: job.id, index }, job.result.size, this.viewer.size, () => this.viewer.changed());
    await layer.open();
    if (this.job !== job || this.index !== index) return;
    this.viewer.after = layer;
    this.viewer.canvas.dataset.shows = "after";
    this.changed();
  }

  clear() {
    this.job = this.viewer.after = null;
    this.viewer.canvas.dataset.shows = "before";
    byId("comparing").hidden = byId("samples").hidden = true;
    byId("keep").disabled = true;
    this.changed();
  }

  async keep() {
    return (await post(`/api/jobs/${this.job.id}/keep`, { index: this.index })).saved;
  }
}

// A picture to look at: all of it coarsely, and what is seen as finely as the screen shows it.

import { picture } from "./api.js";

const COARSE = 1600; // pixels of the longer side

export class Layer {
  // size: of the picture's own pixels; place: of the photo's, on which it lies.
  constructor(source, size, place, loaded) {
    Object.assign(this, { source, size, place, loaded, coarse: null, fine: null, wanted: "" });
  }

  async open() {
    this.coarse = await picture(this.source, null, COARSE);
    this.loaded();
    return this;
  }

  // Loads what is seen, if the coarse picture has too few pixels for it.
  async see(box, scale) {
    const ratio = this.size[0] / this.place[0];
    if (!this.coarse || scale <= (1.2 * this.coarse.width) / this.place[0]) {
      this.fine = null;
      return;
    }
    const own = box.map((n) => Math.round(n * ratio));
    const side = Math.min(Math.max(own[2], own[3]), (scale * Math.max(own[2], own[3])) / ratio);
    const wanted = `${own} ${Math.ceil(side)}`;
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    const found = await picture(this.source, own, side).catch(() => null);
    if (found && wanted === this.wanted) {
      this.fine = { found, box: own.map((n) => n / ratio) };
      this.loaded();
    }
  }

  draw(context) {
    if (this.coarse) context.drawImage(this.coarse, 0, 0, ...this.place);
    if (this.fine) context.drawImage(this.fine.found, ...this.fine.box);
  }
}

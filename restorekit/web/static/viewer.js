// The canvas: a photo that can be moved and enlarged, before and after, and a mask on it.

import { drawHandle } from "./handle.js";

const STEP = 60; // screen pixels that an arrow key moves the photo by
const NEAR = 14; // screen pixels around the line between before and after that take hold of it
const MASK = "rgb(230 30 60)";

export class Viewer {
  // mask: drawn over the photo; seen(): what is seen has changed; slid(): the line was moved.
  constructor(canvas, mask, seen, slid) {
    Object.assign(this, { canvas, mask, seen, slid });
    this.context = canvas.getContext("2d");
    this.over = document.createElement("canvas").getContext("2d");
    this.size = null;
    this.scale = 1; // screen pixels for one of the photo
    this.origin = [0, 0]; // the photo's place in the canvas's corner
    this.before = this.after = this.patch = null;
    this.split = 0.5;
    this.tool = "brush";
    this.painting = false;
    this.brush = 20; // screen pixels
    this.cursor = null; // where the brush is, in the photo's pixels
    this.held = null; // what the pointer does
    this.fingers = new Map(); // where they are, by their pointers
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", (event) => this.release(event));
    canvas.addEventListener("pointerleave", () => { if (!this.held) this.point(null); });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  show(size, before) {
    Object.assign(this, { size, before, after: null, patch: null, cursor: null });
    this.fit();
  }

  resize() {
    const density = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (!width || !height) return;
    this.canvas.width = this.over.canvas.width = Math.round(width * density);
    this.canvas.height = this.over.canvas.height = Math.round(height * density);
    if (this.fitted) this.fit();
    else this.changed();
  }

  fit() {
    if (!this.size) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.min(width / this.size[0], height / this.size[1], 8) || 1;
    this.origin = [(this.size[0] - width / this.scale) / 2, (this.size[1] - height / this.scale) / 2];
    this.fitted = true;
    this.changed();
  }

  // To a scale, about a place on the screen.
  zoom(scale, at = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const [x, y] = this.place(at);
    this.scale = Math.min(Math.max(scale, 0.01), 32);
    this.origin = [x - at[0] / this.scale, y - at[1] / this.scale];
    this.fitted = false;
    this.changed();
  }

  pan(dx, dy) {
    this.origin = [this.origin[0] - dx / this.scale, this.origin[1] - dy / this.scale];
    this.fitted = false;
    this.changed();
  }

  // The scale at which a pixel of what is shown is one of the screen's.
  get exact() {
    return (this.after ? this.after.size[0] / this.size[0] : 1) / (window.devicePixelRatio || 1);
  }

  // A place of the photo on the screen, and back.
  place([x, y]) {
    return [this.origin[0] + x / this.scale, this.origin[1] + y / this.scale];
  }

  screen([x, y]) {
    return [(x - this.origin[0]) * this.scale, (y - this.origin[1]) * this.scale];
  }

  // What is seen: [left, top, width, height] in the photo's whole pixels.
  get box() {
    const end = this.place([this.canvas.clientWidth, this.canvas.clientHeight]);
    const left = Math.max(0, Math.floor(this.origin[0]));
    const top = Math.max(0, Math.floor(this.origin[1]));
    const right = Math.min(this.size[0], Math.ceil(end[0]));
    const bottom = Math.min(this.size[1], Math.ceil(end[1]));
    return [left, top, Math.max(1, right - left), Math.max(1, bottom - top)];
  }

  // Once, however much has changed since the last picture on the screen.
  changed() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => { this.due = 0; this.draw(); });
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.look(), 120);
  }

  look() {
    if (!this.size) return;
    for (const layer of [this.before, this.after]) if (layer) layer.see(this.box, this.scale * (window.devicePixelRatio || 1));
    this.seen();
  }

  transform(context) {
    const s = this.scale * (window.devicePixelRatio || 1);
    context.setTransform(s, 0, 0, s, -this.origin[0] * s, -this.origin[1] * s);
  }

  draw() {
    const { context, canvas } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.size) return;
    this.transform(context);
    context.imageSmoothingEnabled = this.scale < 2;
    if (this.before) this.before.draw(context);
    if (this.after) this.compared();
    else if (this.patch) this.patched();
    if (this.painting && !this.after) this.masked();
    // One finger moves the page, where there is nothing else to move.
    canvas.style.touchAction = this.paints || this.after || !this.fitted ? "none" : "pan-y";
    Object.assign(canvas.dataset, { // for those who look from outside
      scale: this.scale, left: this.origin[0], top: this.origin[1], split: Math.round(100 * this.split),
    });
  }

  compared() {
    const { context, canvas } = this;
    const x = this.split * canvas.clientWidth;
    const [left] = this.place([x, 0]);
    context.save();
    context.beginPath();
    context.rect(left, this.origin[1], canvas.clientWidth / this.scale, canvas.clientHeight / this.scale);
    context.clip();
    this.after.draw(context);
    context.restore();
    drawHandle(context, x, canvas.clientHeight, NEAR + 2);
  }

  patched() {
    const { context, patch } = this;
    context.drawImage(patch.picture, ...patch.box);
    context.lineWidth = 1.5 / this.scale;
    for (const [colour, dash] of [["black", []], ["white", [6, 6]]]) {
      context.strokeStyle = colour;
      context.setLineDash(dash.map((n) => n / this.scale));
      context.strokeRect(...patch.box);
    }
    context.setLineDash([]);
  }

  masked() {
    const { context, over, canvas } = this;
    over.setTransform(1, 0, 0, 1, 0, 0);
    over.clearRect(0, 0, canvas.width, canvas.height);
    this.transform(over);
    this.mask.draw(over, this.size, MASK);
    context.save();
    context.beginPath();
    context.rect(0, 0, ...this.size);
    // What was tried is seen as it will be.
    if (this.patch && !this.held) context.rect(...this.patch.box);
    context.clip("evenodd");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 0.55;
    context.drawImage(over.canvas, 0, 0);
    context.restore();
    if (!this.cursor || this.tool === "pan") return;
    const radius = this.tool === "lasso" ? 4 / this.scale : this.radius;
    for (const [colour, width] of [["black", 3], ["white", 1.5]]) {
      context.beginPath();
      context.arc(...this.cursor, radius, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width / this.scale;
      context.stroke();
    }
  }

  get radius() {
    return this.brush / 2 / this.scale;
  }

  get paints() {
    return this.painting && !this.after && this.tool !== "pan";
  }

  point(place) {
    this.cursor = place;
    this.changed();
  }

  press(event) {
    if (!this.size) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus({ preventScroll: true });
    const at = [event.offsetX, event.offsetY];
    this.fingers.set(event.pointerId, at);
    if (this.held) { // a second finger
      this.mask.drop();
      this.held.what = "pinch";
      return;
    }
    this.held = { what: this.near(at) ? "split" : event.button === 0 && this.paints ? "stroke" : "pan", at };
    if (this.held.what === "stroke") this.mask.begin(this.tool, this.radius, this.place(at));
    event.preventDefault();
  }

  // Whether a place on the screen takes hold of the line between before and after.
  near([x]) {
    return Boolean(this.after) && Math.abs(x - this.split * this.canvas.clientWidth) < NEAR;
  }

  // Two fingers move and enlarge.
  pinch(pointer, at) {
    const seen = () => {
      const [[x, y], [u, v]] = this.fingers.values();
      return { at: [(x + u) / 2, (y + v) / 2], apart: Math.max(Math.hypot(x - u, y - v), 1) };
    };
    const before = seen();
    this.fingers.set(pointer, at);
    const after = seen();
    this.pan(after.at[0] - before.at[0], after.at[1] - before.at[1]);
    this.zoom((this.scale * after.apart) / before.apart, after.at);
  }

  move(event) {
    const at = [event.offsetX, event.offsetY];
    if (!this.held) this.canvas.style.cursor = this.near(at) ? "ew-resize" : this.paints ? "crosshair" : "grab";
    if (this.held?.what === "pinch") {
      if (this.fingers.size === 2 && this.fingers.has(event.pointerId)) this.pinch(event.pointerId, at);
      return;
    }
    if (this.held?.what === "pan") this.pan(at[0] - this.held.at[0], at[1] - this.held.at[1]);
    if (this.held?.what === "split") this.slid(Math.min(Math.max(at[0] / this.canvas.clientWidth, 0), 1));
    if (this.held?.what === "stroke") {
      const moved = event.getCoalescedEvents?.() ?? [];
      for (const each of moved.length ? moved : [event]) this.mask.extend(this.place([each.offsetX, each.offsetY]));
    }
    if (this.held) this.held.at = at;
    if (this.paints) this.point(this.place(at));
  }

  release(event) {
    this.fingers.delete(event.pointerId);
    const held = this.held;
    if (held?.what === "pinch" && this.fingers.size) return;
    this.held = null;
    if (held?.what === "stroke") this.mask.end();
    this.changed();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(this.scale * 1.0015 ** -event.deltaY, [event.offsetX, event.offsetY]);
  }

  key(event) {
    if (!this.size || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[event.key];
    if (arrow && this.paints && !event.shiftKey) this.walk(arrow);
    else if (arrow) this.pan(-arrow[0] * STEP, -arrow[1] * STEP);
    else if (event.key === " " && this.paints) this.pen();
    else if (event.key === "+" || event.key === "=") this.zoom(this.scale * 1.25);
    else if (event.key === "-") this.zoom(this.scale / 1.25);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.zoom(this.exact);
    else return;
    event.preventDefault();
  }

  // By keyboard: the brush goes half its size, and draws where it is down.
  walk([dx, dy]) {
    const [x, y] = this.cursor ?? this.place([this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]);
    const step = Math.max(this.radius, 1 / this.scale);
    this.point([x + dx * step, y + dy * step]);
    this.mask.extend(this.cursor);
  }

  pen() {
    if (this.mask.current) {
      this.mask.end();
      return;
    }
    this.point(this.cursor ?? this.place([this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]));
    this.mask.begin(this.tool, this.radius, this.cursor);
  }
}

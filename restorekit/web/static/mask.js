// A mask as strokes in the photo's own pixels; the server draws the same at full size.

export class Mask {
  constructor() {
    this.changed = () => {}; // told of every movement,
    this.settled = () => {}; // and when it is over
    this.take();
  }

  // Goes on from a state, by default from nothing.
  take({ done = [], undone = [], found = null } = {}) {
    Object.assign(this, { done, undone, found, current: null }); // found: {key, picture}
    this.changed();
  }

  get state() {
    const { done, undone, found } = this;
    return { done, undone, found };
  }

  get empty() {
    return !this.strokes.length && !this.found;
  }

  begin(tool, radius, point) {
    this.current = { tool, radius, points: [point] };
    this.changed();
  }

  extend(point) {
    if (!this.current) return;
    const [x, y] = this.current.points.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) < 0.5) return;
    this.current.points.push(point);
    this.changed();
  }

  end() {
    if (!this.current) return;
    this.push({ kind: "stroke", stroke: this.current });
    this.current = null;
    this.changed();
    this.settled();
  }

  // Of what was only meant to be a stroke, as by the first of two fingers.
  drop() {
    this.current = null;
    this.changed();
  }

  push(action) {
    this.done.push({ ...action, before: this.found });
    this.undone = [];
    if (action.kind !== "stroke") this.found = action.found;
  }

  start(found) {
    this.push({ kind: "found", found });
    this.changed();
    this.settled();
  }

  clear() {
    if (this.empty) return;
    this.push({ kind: "clear", found: null });
    this.changed();
    this.settled();
  }

  undo() {
    const action = this.done.pop();
    if (!action) return;
    this.found = action.before;
    this.undone.push(action);
    this.changed();
    this.settled();
  }

  redo() {
    const action = this.undone.pop();
    if (!action) return;
    if (action.kind !== "stroke") this.found = action.found;
    this.done.push(action);
    this.changed();
    this.settled();
  }

  get strokes() {
    const cleared = this.done.map((action) => action.kind).lastIndexOf("clear");
    const strokes = this.done.slice(cleared + 1).filter((action) => action.stroke).map((action) => action.stroke);
    return this.current ? [...strokes, this.current] : strokes;
  }

  // As the server takes it.
  sent() {
    const rounded = (n) => Math.round(n * 100) / 100;
    const strokes = this.strokes.map(({ tool, radius, points }) => (
      { tool, radius: rounded(radius), points: points.map((point) => point.map(rounded)) }));
    return { found: this.found ? this.found.key : "", strokes };
  }

  // Draws it in a colour; the context's transform leads from the photo's pixels to the screen's.
  draw(context, size, colour) {
    if (this.found) {
      context.drawImage(this.found.picture, 0, 0, ...size);
      context.globalCompositeOperation = "source-in";
      context.fillStyle = colour;
      context.fillRect(0, 0, ...size);
    }
    context.lineCap = context.lineJoin = "round";
    context.fillStyle = context.strokeStyle = colour;
    for (const { tool, radius, points } of this.strokes) {
      const adds = tool === "brush" || tool === "lasso";
      context.globalCompositeOperation = adds ? "source-over" : "destination-out";
      context.beginPath();
      points.forEach((point) => context.lineTo(...point));
      if (tool === "lasso") {
        context.closePath();
        context.fill();
        continue;
      }
      if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
      context.lineWidth = 2 * radius;
      context.stroke();
    }
    context.globalCompositeOperation = "source-over";
  }
}

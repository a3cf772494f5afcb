"use strict";
/* <photo-compare>: one photo's layers over one another, with zoom and pan in common.

   Its children are the pictures, <img data-layer="..." alt="...">: "after", and any of "before",
   "baseline", "truth" (to be compared with it), "difference" and "deviation" (laid over it). Sizes
   may differ; all are shown at that of "after". Sets no global but the element. */
(() => {
  const VIEWS = { slider: "Slider", side: "Side by side", difference: "Difference" };
  const MOST = 32;
  const STEP = 1.25;

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  class PhotoCompare extends HTMLElement {
    connectedCallback() {
      if (this.stage) return;
      this.zoom = 1;
      this.u = this.v = 0.5; // what is in the middle, as parts of the picture
      this.held = new Map(); // pointers that are down
      this.panes = new Map();
      for (const picture of this.querySelectorAll("img[data-layer]")) {
        const name = make("span", { className: "pc-name", textContent: picture.alt });
        picture.draggable = false;
        picture.addEventListener("load", () => this.lay());
        const pane = make("div", { className: "pc-pane" }, picture, name);
        pane.dataset.part = picture.dataset.layer;
        this.panes.set(picture.dataset.layer, pane);
      }
      const sides = ["before", "baseline", "truth", "after"].filter((part) => this.panes.has(part));
      this.right = "after";
      this.left = sides.find((part) => part !== "after");
      this.build(sides);
      this.show(this.left ? "slider" : "side");
      this.watcher = new ResizeObserver(() => this.lay());
      this.watcher.observe(this.stage);
    }

    disconnectedCallback() {
      this.watcher?.disconnect();
    }

    build(sides) {
      this.split = make("input", {
        type: "range", min: 0, max: 100, step: 0.5, value: 50, className: "pc-split",
      });
      this.split.setAttribute("aria-label", "How much of the left picture is shown, in percent");
      this.split.addEventListener("input", () => this.lay());
      this.handle = make("div", { className: "pc-handle" });
      this.stage = make(
        "div", { className: "pc-stage", tabIndex: 0 }, ...this.panes.values(), this.handle,
      );
      this.stage.setAttribute("role", "group");
      this.stage.setAttribute(
        "aria-label",
        "The photo. Plus and minus zoom, 0 fits, arrow keys move it, or the slider where it fits; "
        + "hold B to see the left picture alone.",
      );
      this.listen();
      this.told = make("output", { className: "pc-zoom" });
      const tools = make("div", { className: "pc-tools" });
      tools.setAttribute("role", "toolbar");
      tools.setAttribute("aria-label", "View");
      this.buttons = {};
      for (const [view, label] of Object.entries(VIEWS)) {
        if (view === "difference" ? !this.panes.has(view) : sides.length < 2) continue;
        this.buttons[view] = make("button", {
          type: "button", textContent: label, onclick: () => this.show(view),
        });
        tools.append(this.buttons[view]);
      }
      if (sides.length > 2) {
        tools.append(this.choice("left", "Left", sides), this.choice("right", "Right", sides));
      }
      this.amplify = this.strength("Amplified", 1, 16, 1, 2);
      this.overlay = this.strength("Deviation", 0, 1, 0.05, 0);
      tools.append(this.amplify.parentNode);
      if (this.panes.has("deviation")) {
        const { alt } = this.panes.get("deviation").querySelector("img");
        this.overlay.nextSibling.textContent = alt.split(", ")[1] ?? "";
        tools.append(this.overlay.parentNode);
      }
      const press = (label, title, onclick) => {
        const button = make("button", { type: "button", textContent: label, title, onclick });
        button.setAttribute("aria-label", title);
        return button;
      };
      tools.append(
        press("−", "Zoom out", () => this.scale(1 / STEP)),
        this.told,
        press("+", "Zoom in", () => this.scale(STEP)),
        press("Fit", "Fit the whole photo", () => this.fit()),
        press("1:1", "Show single pixels", () => this.scale(this.exact() / this.zoom)),
      );
      this.append(tools, this.stage, this.split);
    }

    choice(side, label, parts) {
      const select = make("select", {
        onchange: () => { this[side] = select.value; this.lay(); },
      });
      for (const part of parts) {
        const name = this.panes.get(part).querySelector("img").alt;
        select.append(make("option", { value: part, textContent: name }));
      }
      select.value = this[side];
      return make("label", {}, `${label} `, select);
    }

    strength(label, min, max, step, value) {
      const range = make("input", { type: "range", min, max, step, value });
      range.addEventListener("input", () => this.lay());
      make("label", { className: "pc-strength" }, `${label} `, range, make("span"));
      return range;
    }

    show(view) {
      this.dataset.view = view;
      for (const [name, button] of Object.entries(this.buttons)) {
        button.setAttribute("aria-pressed", String(name === view));
      }
      this.split.hidden = this.handle.hidden = view !== "slider";
      this.amplify.parentNode.hidden = view !== "difference";
      this.overlay.parentNode.hidden = view === "difference";
      this.lay();
    }

    fit() {
      this.zoom = 1;
      this.u = this.v = 0.5;
      this.lay();
    }

    /* Zooms so that the point (x, y), from the middle of its pane, stays where it is. */
    scale(factor, x = 0, y = 0) {
      if (!this.shown) return;
      const zoom = clamp(this.zoom * factor, Math.min(1, this.exact()), MOST);
      const { width, height } = this.shown;
      this.u += (x / width) * (1 - this.zoom / zoom);
      this.v += (y / height) * (1 - this.zoom / zoom);
      this.zoom = zoom;
      this.lay();
    }

    move(x, y) {
      this.u -= x / this.shown.width;
      this.v -= y / this.shown.height;
      this.lay();
    }

    /* The zoom at which a pixel of the embedded picture is one of the screen's. */
    exact() {
      return (this.size.width * this.zoom) / (this.shown.width * window.devicePixelRatio);
    }

    /* Puts every layer where it belongs. */
    lay() {
      const main = this.panes.get("after").querySelector("img");
      this.size = { width: main.naturalWidth || 1, height: main.naturalHeight || 1 };
      const visible = this.visible();
      for (const [part, pane] of this.panes) {
        pane.hidden = !visible.includes(part);
        pane.style.zIndex = pane.style.order = visible.indexOf(part);
      }
      const columns = this.dataset.view === "side"
        ? visible.filter((part) => part !== "deviation").length : 1;
      this.stage.style.setProperty("--columns", columns);
      const room = { width: this.stage.clientWidth / columns, height: this.stage.clientHeight };
      if (!room.width || !room.height) return; // not to be seen yet
      const fit = Math.min(room.width / this.size.width, room.height / this.size.height);
      const width = this.size.width * fit * this.zoom;
      const height = this.size.height * fit * this.zoom;
      this.shown = { width, height };
      const edge = (length, space) => Math.min(0.5, space / 2 / length);
      this.u = clamp(this.u, edge(width, room.width), 1 - edge(width, room.width));
      this.v = clamp(this.v, edge(height, room.height), 1 - edge(height, room.height));
      const set = (name, value) => this.stage.style.setProperty(name, value);
      set("--w", `${width}px`);
      set("--h", `${height}px`);
      set("--x", `${(0.5 - this.u) * width}px`);
      set("--y", `${(0.5 - this.v) * height}px`);
      set("--split", `${this.flipped ? 100 : this.split.value}%`);
      set("--amplify", this.amplify.value);
      set("--overlay", this.overlay.value);
      this.stage.classList.toggle("pc-coarse", fit * this.zoom * window.devicePixelRatio >= 2);
      this.told.textContent = `${Math.round((100 * this.zoom) / this.exact())} %`;
      this.amplify.setAttribute("aria-valuetext", `${4 * this.amplify.value} times`);
      this.amplify.nextSibling.textContent = `${4 * this.amplify.value} ×`;
    }

    visible() {
      if (this.dataset.view === "difference") return ["difference"];
      const pictures = this.dataset.view === "side"
        ? ["before", "baseline", "after", "truth"].filter((part) => this.panes.has(part))
        : [this.right, this.left];
      const over = Number(this.overlay.value) > 0 && this.panes.has("deviation");
      for (const [part, pane] of this.panes) {
        pane.classList.toggle(
          "pc-left", this.dataset.view === "slider" && part === this.left && part !== this.right,
        );
      }
      return over ? [...pictures, "deviation"] : pictures;
    }

    listen() {
      const stage = this.stage;
      const place = (event) => {
        const box = stage.getBoundingClientRect();
        return { x: event.clientX - box.left, y: event.clientY - box.top, box };
      };
      stage.addEventListener("wheel", (event) => {
        event.preventDefault();
        const { x, y, box } = place(event);
        const columns = Number(stage.style.getPropertyValue("--columns"));
        const pane = box.width / columns;
        this.scale(event.deltaY < 0 ? STEP : 1 / STEP, (x % pane) - pane / 2, y - box.height / 2);
      }, { passive: false });
      stage.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        stage.setPointerCapture(event.pointerId);
        const { x, y, box } = place(event);
        const line = (box.width * this.split.value) / 100;
        const slider = this.dataset.view === "slider";
        this.sliding = slider && (Math.abs(x - line) < 24 || this.zoom <= 1);
        this.held.set(event.pointerId, { x, y });
      });
      stage.addEventListener("pointermove", (event) => {
        const last = this.held.get(event.pointerId);
        if (!last) return;
        const { x, y, box } = place(event);
        if (this.held.size === 2) {
          const [other] = [...this.held].filter(([id]) => id !== event.pointerId)
            .map(([, point]) => point);
          const before = Math.hypot(last.x - other.x, last.y - other.y);
          this.scale(Math.hypot(x - other.x, y - other.y) / Math.max(before, 1));
        } else if (this.sliding) {
          this.split.value = (100 * x) / box.width;
          this.lay();
        } else {
          this.move(x - last.x, y - last.y);
        }
        this.held.set(event.pointerId, { x, y });
      });
      for (const end of ["pointerup", "pointercancel"]) {
        stage.addEventListener(end, (event) => this.held.delete(event.pointerId));
      }
      stage.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
        const keys = {
          "+": () => this.scale(STEP), "=": () => this.scale(STEP), "-": () => this.scale(1 / STEP),
          0: () => this.fit(), 1: () => this.scale(this.exact() / this.zoom),
          b: () => { this.flipped = true; this.lay(); },
        };
        const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
        if (key in arrows && this.zoom > 1) {
          this.move(...arrows[key].map((part) => part * 60));
        } else if (key in arrows && arrows[key][0] && this.dataset.view === "slider") {
          this.split.value = Number(this.split.value) - 2 * arrows[key][0];
          this.lay();
        } else if (key in keys) {
          keys[key]();
        } else {
          return;
        }
        event.preventDefault();
      });
      const back = () => { this.flipped = false; this.lay(); };
      stage.addEventListener("keyup", (event) => event.key.toLowerCase() === "b" && back());
      stage.addEventListener("blur", back);
    }
  }

  customElements.define("photo-compare", PhotoCompare);
})();

// The photos of the folder, as buttons with a thumbnail each.

import { address, get } from "./api.js";
import { byId, element } from "./dom.js";

export class Gallery {
  constructor(opened) {
    this.list = byId("gallery");
    this.opened = opened;
    this.buttons = new Map();
  }

  async show() {
    const folder = await get("/api/photos");
    byId("folder").textContent = folder.folder;
    byId("gallery-notes").textContent = folder.notes.join("\n");
    this.output = folder.output;
    this.buttons = new Map(folder.photos.map((name) => [name, this.button(name)]));
    this.list.replaceChildren(...Array.from(this.buttons.values(), (button) => element("li", {}, button)));
    if (!folder.photos.length) this.list.append(element("li", {}, "There are no photos here yet. Add some."));
    return folder.photos;
  }

  button(name) {
    const picture = element("img", { alt: "", loading: "lazy", width: 120, height: 90 });
    const button = element("button", { className: "photo", onclick: () => this.opened(name) },
      picture, element("span", {}, name));
    picture.addEventListener("error", () => button.classList.add("broken"));
    picture.src = address("/api/thumbnail", { photo: name });
    return button;
  }

  mark(name) {
    for (const [other, button] of this.buttons) {
      if (other === name) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }
}

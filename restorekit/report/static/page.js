/* Sorting, finding, and one photo after the other in a window of its own. */
(() => {
  const cards = document.querySelector("#cards");
  if (!cards) return;
  const [sort, find, told, viewer, viewed, place, body] =
    ["sort", "find", "told", "viewer", "viewed", "place", "body"]
      .map((id) => document.getElementById(id));
  const all = [...cards.children];
  const figures = new Map(all.map((card) => [card, JSON.parse(card.dataset.figures)]));
  let open = null;

  const visible = () => [...cards.children].filter((card) => !card.hidden);

  function arrange() {
    const key = sort.value;
    const down = Boolean(sort.selectedOptions[0].dataset.down);
    const words = find.value.trim().toLowerCase();
    const value = (card) => figures.get(card)[key];
    const order = [...all];
    if (key) {
      order.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return down ? y - x : x - y;
      });
    }
    cards.append(...order);
    for (const card of order) {
      const text = `${card.dataset.name} ${card.querySelector(".notes")?.textContent ?? ""}`;
      card.hidden = !text.toLowerCase().includes(words);
    }
    told.textContent = `${visible().length} shown, by ${sort.selectedOptions[0].textContent}`;
  }

  function show(card) {
    open = card;
    const shown = visible();
    viewed.textContent = card.dataset.name;
    place.textContent = `${shown.indexOf(card) + 1} of ${shown.length}`;
    const within = body.contains(document.activeElement);
    body.replaceChildren(card.querySelector("template").content.cloneNode(true));
    if (!viewer.open) {
      viewer.showModal();
      viewed.focus();
    } else if (within) {
      body.querySelector(".pc-stage").focus();
    }
  }

  function go(step) {
    const shown = visible();
    show(shown[(shown.indexOf(open) + step + shown.length) % shown.length]);
  }

  cards.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(button.closest(".card"));
  });
  viewer.addEventListener("close", () => {
    body.replaceChildren();
    open.querySelector("button").focus();
  });
  viewer.addEventListener("keydown", (event) => {
    const steps = { PageDown: 1, PageUp: -1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    go(steps[event.key]);
  });
  document.getElementById("previous").addEventListener("click", () => go(-1));
  document.getElementById("next").addEventListener("click", () => go(1));
  document.getElementById("close").addEventListener("click", () => viewer.close());
  sort.addEventListener("change", arrange);
  find.addEventListener("input", arrange);
})();

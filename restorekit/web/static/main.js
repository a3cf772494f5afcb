// Puts the page together.

import { get, loaded, post, tab, upload } from "./api.js";
import { byId, element, say } from "./dom.js";
import { Form } from "./form.js";
import { Gallery } from "./gallery.js";
import { followed } from "./jobs.js";
import { Layer } from "./layer.js";
import { Mask } from "./mask.js";
import { Results } from "./results.js";
import { Steps } from "./steps.js";
import { Viewer } from "./viewer.js";

const SIDE = 256; // pixels of a preview's sides

history.replaceState(null, "", location.pathname + location.hash); // the token is a cookie by now

let photo = null; // the name of the one that is open
let trying = null; // until the next change
let tried = false; // whether changes are to be tried at once

const left = new Map(); // by the names of photos that were open: their masks, and what was made

const mask = new Mask();
const viewer = new Viewer(byId("canvas"), mask, seen, (share) => results.slide(share));
const results = new Results(viewer, tools);
const gallery = new Gallery((name) => { location.hash = encodeURIComponent(name); });
const forms = await get("/api/forms");
const steps = new Steps(forms.tasks);
mask.changed = () => viewer.changed();
mask.settled = steps.changed = changed;
const writing = new Form(forms.writing, tools);
byId("writing").append(...writing.shown().flatMap((group) => Array.from(group.children).slice(1)));

// Does what may fail, and tells of it.
async function attempt(what) {
  try {
    await what();
  } catch (error) {
    say(error.message, true);
  }
}

function notes(lines) {
  byId("notes").replaceChildren(...lines.map((line) => element("li", {}, line)));
}

function seen() {
  byId("zoom").textContent = `${Math.round((100 * viewer.scale) / viewer.exact)} %`;
}

function tools() {
  viewer.painting = steps.paints;
  byId("painting").hidden = byId("painting-keys").hidden = !viewer.painting || Boolean(viewer.after);
  results.match(wanted());
  viewer.changed();
}

function changed() {
  if (byId("status").classList.contains("wrong")) say("");
  tools();
  again();
}

// Tries the part again, a moment after the last change.
function again() {
  viewer.patch = null;
  delete viewer.canvas.dataset.patch;
  viewer.changed();
  clearTimeout(trying);
  if (tried && photo && !viewer.after) trying = setTimeout(() => attempt(tryPart), 250);
}

// What is set, as text.
function wanted() {
  return JSON.stringify([photo, steps.asked(mask.sent()), writing.values()]);
}

function asked() {
  if (steps.paints && mask.empty) throw new Error("Paint over what is to be repaired; or choose another mask");
  return { tab, photo, steps: steps.asked(mask.sent()), writing: writing.values() };
}

async function open(name) {
  if (name === photo) return;
  say(`Opening ${name}`);
  if (photo) left.set(photo, { mask: mask.state, made: results.made });
  photo = null;
  await results.show(null);
  mask.take();
  notes([]);
  for (const id of ["preview", "restore"]) byId(id).disabled = true;
  tried = false;
  viewer.canvas.dataset.photo = "";
  const about = await get("/api/about", { photo: name });
  const size = [about.width, about.height];
  byId("empty").hidden = true;
  for (const id of ["canvas", "tools", "keys"]) byId(id).hidden = false;
  const layer = await new Layer({ photo: name }, size, size, () => viewer.changed()).open();
  if (decodeURIComponent(location.hash.slice(1)) !== name) return; // another was opened meanwhile
  photo = name;
  byId("about").textContent = about.lines.join("\n");
  document.title = `${name} – restorekit`;
  viewer.canvas.setAttribute("aria-label", `The photo ${name}`);
  viewer.resize();
  viewer.show(size, layer);
  gallery.mark(name);
  const was = left.get(name) ?? {};
  left.delete(name);
  mask.take(was.mask);
  for (const id of ["preview", "restore"]) byId(id).disabled = false;
  viewer.canvas.dataset.photo = name;
  byId("stage").scrollIntoView(); // where it lies below the gallery
  say(`${name} is open`);
  if (was.made) await results.show(was.made);
}

// The middle of what is seen, or of the last stroke.
function middle() {
  const [left, top, width, height] = viewer.box;
  const points = steps.paints && mask.strokes.length ? mask.strokes.at(-1).points : [[left + width / 2, top + height / 2]];
  return [0, 1].map((axis) => {
    const along = points.map((point) => point[axis]);
    const at = Math.round((Math.min(...along) + Math.max(...along)) / 2);
    return Math.min(Math.max(at, 0), viewer.size[axis] - 1);
  });
}

async function tryPart() {
  const name = photo;
  const what = asked();
  results.look(false);
  tried = true;
  say("Trying this part");
  const [, , width, height] = viewer.box;
  const side = Math.max(64, Math.min(SIDE, width, height));
  const job = await followed(await post("/api/previews", { ...what, side, at: middle() }), "Trying this part");
  if (!job || name !== photo || viewer.after) return;
  notes(job.result.notes);
  if (!job.result.box) return say(job.result.notes[0]);
  viewer.patch = { box: job.result.box, picture: await loaded(`/api/jobs/${job.id}/part`) };
  viewer.changed();
  viewer.canvas.dataset.patch = job.id;
  say("This is how the framed part will be");
}

async function restore() {
  const name = photo;
  const [what, text] = [asked(), wanted()];
  results.look(false);
  clearTimeout(trying);
  notes([]);
  say(`Restoring ${name}`);
  const job = await followed(await post("/api/jobs", what), name);
  if (!job) return say("Cancelled");
  const made = { job, index: 0, asked: text, saved: false };
  if (name !== photo) {
    left.set(name, { ...left.get(name), made });
    return say(`${name} is done: open it to see`);
  }
  notes(job.result.notes);
  await results.show(made);
  results.split.focus({ preventScroll: true });
  viewer.canvas.scrollIntoView({ block: "nearest" });
  say(`Done: ${job.result.notes[0] ?? "drag the line between before and after"}`);
}

async function restoreFolder() {
  if (steps.paints) {
    const { label, words } = steps.mask().described;
    throw new Error(`A mask is painted for one photo; for the folder choose another under “${label}”: ${[...words, "none"].join(" or ")}`);
  }
  const sure = byId("sure");
  byId("sure-text").textContent = `Restore all ${gallery.buttons.size} photos, with what is set here, into the folder ${gallery.output}?`;
  sure.returnValue = "no";
  sure.showModal();
  await new Promise((resolve) => sure.addEventListener("close", resolve, { once: true }));
  if (sure.returnValue !== "yes") return;
  const job = await followed(await post("/api/folder", asked()), "The whole folder", "photos");
  if (!job) return say("Cancelled; what is done is kept, and the next run goes on from there");
  const { restored, skipped, failures } = job.result;
  notes([...failures, ...job.result.notes]);
  say(`${restored} restored, ${skipped} there already, ${failures.length} failed`, failures.length > 0);
}

async function find() {
  const what = { tab, photo, steps: steps.asked(steps.mask().described.words[0]) };
  const job = await followed(await post("/api/found", what), "Looking for damage");
  if (!job) return;
  mask.start({ key: job.result.mask, picture: await loaded(`/api/masks/${job.result.mask}`) });
  say(`Found on ${(100 * job.result.share).toPrecision(2)} % of the photo; correct it with brush and eraser`);
}

function choose(tool) {
  viewer.tool = tool;
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  viewer.changed();
}

function size(value) {
  byId("brush").value = value;
  viewer.brush = Number(byId("brush").value);
  viewer.changed();
}

const clicks = {
  "zoom-in": () => viewer.zoom(viewer.scale * 1.25),
  "zoom-out": () => viewer.zoom(viewer.scale / 1.25),
  "zoom-fit": () => viewer.fit(),
  "zoom-one": () => viewer.zoom(viewer.exact),
  undo: () => mask.undo(),
  redo: () => mask.redo(),
  clear: () => mask.clear(),
  find,
  preview: tryPart,
  restore,
  keep: async () => {
    say("Saving");
    say(`Saved as ${(await results.keep()).map((name) => `${gallery.output}/${name}`).join(", ")}`);
  },
  "folder-run": restoreFolder,
};
for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", () => attempt(click));
for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
byId("brush").addEventListener("input", (event) => size(event.target.value));

document.addEventListener("keydown", (event) => {
  if (!viewer.painting || viewer.after) return;
  const typing = event.target.matches("input[type=text], textarea, select");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
    clicks[event.shiftKey ? "redo" : "undo"]();
    event.preventDefault();
  } else if (event.target === viewer.canvas && !event.ctrlKey && !event.metaKey) {
    const tools = { b: "brush", e: "eraser", l: "lasso", h: "pan" };
    if (tools[event.key]) choose(tools[event.key]);
    if (event.key === "[" || event.key === "]") size(viewer.brush * (event.key === "]" ? 1.25 : 0.8));
  }
});

byId("upload").addEventListener("change", (event) => attempt(async () => {
  for (const file of event.target.files) await upload(file);
  event.target.value = "";
  await gallery.show();
  say("Added");
}));

// The browser asks before what nobody has saved is gone.
addEventListener("beforeunload", (event) => {
  const made = [results.made, ...Array.from(left.values(), (was) => was.made)];
  if (made.some((one) => one && !one.saved)) event.preventDefault();
});
addEventListener("hashchange", () => attempt(() => open(decodeURIComponent(location.hash.slice(1)))));
await attempt(async () => {
  await gallery.show();
  if (location.hash.length > 1) await open(decodeURIComponent(location.hash.slice(1)));
});
document.body.dataset.ready = "yes";

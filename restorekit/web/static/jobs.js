// Work that goes on in the server: how far it is, and a button to end it.

import { get, post } from "./api.js";
import { byId, element } from "./dom.js";

const EVERY = 200; // milliseconds between questions

const pause = () => new Promise((resolve) => setTimeout(resolve, EVERY));

const far = (n) => String(Math.floor(n * 10) / 10);

// Follows a job to its end; null, where it was cancelled. Throws what it failed of.
export async function followed(job, label, unit = "steps") {
  const bar = element("progress", { max: 1, "aria-label": label });
  const text = element("span", {}, "waiting");
  const cancel = element("button", { onclick: () => post(`/api/jobs/${job.id}/cancel`) }, "Cancel");
  const row = element("div", { className: "job" }, element("strong", {}, label), bar, text, cancel);
  byId("jobs").append(row);
  try {
    while (job.state === "waiting" || job.state === "running") {
      await pause();
      job = await get(`/api/jobs/${job.id}`);
      row.dataset.state = job.state;
      if (job.state === "running") text.textContent = job.total ? `${far(job.done)} of ${job.total} ${unit}` : "looking at it";
      if (job.total) bar.value = job.done / job.total;
    }
  } finally {
    row.remove();
  }
  if (job.state === "failed") throw new Error(job.failure);
  return job.state === "done" ? job : null;
}

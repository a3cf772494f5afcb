// What the server is asked, and what it answers.

export const tab = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("");

async function answered(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || "The server refuses: open the address that it printed.");
  return answer;
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new Error("The server does not answer; is `restorekit web` still running?");
  }
}

export const address = (path, query) => `${path}?${new URLSearchParams(query)}`;

export const get = async (path, query = {}) => answered(await fetched(address(path, query)));

export const post = async (path, value = {}) =>
  answered(await fetched(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  }));

export const upload = async (file) =>
  answered(await fetched(address("/api/photos", { name: file.name }), { method: "POST", body: file }));

// A picture, decoded; `source` is {photo} or {job, index}, `box` is [left, top, width, height].
export async function picture(source, box, side) {
  return loaded(address("/api/view", { ...source, ...(box ? { box: box.join() } : {}), side: Math.ceil(side) }));
}

export async function loaded(url) {
  const response = await fetched(url);
  if (!response.ok) await answered(response);
  return createImageBitmap(await response.blob());
}

// The line between before and after, and where it can be held.

export function drawHandle(context, x, height, radius) {
  const density = window.devicePixelRatio || 1;
  context.setTransform(density, 0, 0, density, 0, 0);
  for (const [colour, more] of [["rgb(0 0 0 / .5)", 1], ["white", 0]]) {
    context.fillStyle = colour;
    context.fillRect(x - 1 - more, 0, 2 + 2 * more, height);
    context.beginPath();
    context.arc(x, height / 2, radius + more, 0, 2 * Math.PI);
    context.fill();
  }
  context.fillStyle = "#222";
  for (const side of [-1, 1]) {
    context.beginPath();
    for (const [dx, dy] of [[11, 0], [4, -5], [4, 5]]) context.lineTo(x + side * dx, height / 2 + dy);
    context.fill();
  }
}

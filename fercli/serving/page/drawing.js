// Boxes over pictures, and bars of probabilities.

export const percent = (value) => `${(100 * value).toFixed(1)} %`;

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Black or white, whichever is easier to read on a colour #rrggbb.
function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#000" : "#fff";
}

// Draws the boxes of the faces; with `mirrored`, as seen in a mirror, but with the words the right way round.
export function drawBoxes(context, answer, colors, mirrored = false) {
  const { width, height } = context.canvas;
  const scale = width / answer.width;
  const size = Math.max(13, Math.round(Math.min(width, height) / 26));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const face of answer.faces) {
    const color = colors[face.emotion] || "#888888";
    const [left, top, wide, high] = face.box.map((value) => value * scale);
    const x = mirrored ? width - left - wide : left;
    const line = Math.max(2, size / 6);
    for (const [width, style] of [[line + 2, "#000a"], [line, color]]) { // an edge, for pictures of the same colour
      context.lineWidth = width;
      context.strokeStyle = style;
      context.strokeRect(x, top, wide, high);
    }
    const number = face.id && answer.faces.length > 1 ? `${Number(face.id)}: ` : "";
    const text = `${number}${face.emotion} ${Math.round(100 * face.probabilities[face.emotion])} %`;
    const long = context.measureText(text).width + 0.7 * size;
    const above = top > 1.5 * size ? top - 1.5 * size : Math.min(top + high, height - 1.5 * size);
    const start = Math.max(0, Math.min(x - line / 2, width - long));
    context.fillStyle = color;
    context.fillRect(start, above, long, 1.5 * size);
    context.fillStyle = inkOn(color);
    context.fillText(text, start + 0.35 * size, above + 0.78 * size);
  }
}

export function bars(probabilities, colors) {
  const first = Object.keys(probabilities).reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a));
  const list = element("ul", { className: "bars" });
  for (const [emotion, value] of Object.entries(probabilities)) {
    const fill = element("span", { className: "fill" });
    fill.style.width = `${100 * value}%`;
    fill.style.background = colors[emotion] || "#888888";
    const track = element("span", { className: "track" }, fill);
    track.setAttribute("aria-hidden", "true");
    const name = element("span", { textContent: emotion, title: emotion });
    const number = element("span", { className: "number", textContent: percent(value) });
    list.append(element("li", { className: emotion === first ? "first" : "" }, name, track, number));
  }
  return list;
}

// Cuts the face out of a picture, with a little around it, into a square canvas.
export function thumbnail(picture, box, side = 192) {
  const [left, top, wide, high] = box;
  const half = 0.6 * Math.max(wide, high);
  const canvas = element("canvas", { width: side, height: side });
  canvas.setAttribute("aria-hidden", "true");
  const x = left + wide / 2 - half, y = top + high / 2 - half;
  canvas.getContext("2d").drawImage(picture, x, y, 2 * half, 2 * half, 0, 0, side, side);
  return canvas;
}

export function describe(faces) {
  if (!faces.length) return "no face found";
  const words = faces.slice(0, 4).map((face) => `${face.emotion} ${percent(face.probabilities[face.emotion])}`);
  const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  return `${count}: ${words.join(", ")}${faces.length > 4 ? ", …" : ""}`;
}

// The probabilities of one person over time.

import { element, percent } from "./drawing.js";

const HEIGHT = 240, LEFT = 44, RIGHT = 24, TOP = 10, BOTTOM = 26;
const DASHED = { surprise: "6 2", neutral: "6 2", contempt: "2 2" };
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function stroke(emotion, model) {
  return { class: "line", stroke: model.colors[emotion] || "#888888", "stroke-dasharray": DASHED[emotion] || "none" };
}

// `points` are [seconds, probabilities] in order; gaps longer than `gap` seconds are not bridged. `width` is that of
// its place, so that its text is as large on a phone.
export function chart(points, model, from, to, gap, width) {
  const span = Math.max(to - from, 1);
  const x = (seconds) => LEFT + ((width - LEFT - RIGHT) * (seconds - from)) / span;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value);
  const words = inWords(points, model);
  const picture = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": words });
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    picture.append(shape("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, `${100 * value} %`));
  }
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((one) => span / one <= width / 110) || 7200;
  for (let seconds = Math.ceil(from / step) * step; seconds <= to; seconds += step) {
    picture.append(shape("text", { x: x(seconds), y: HEIGHT - 6, "text-anchor": "middle" }, clock(seconds)));
  }
  for (const emotion of model.emotions) {
    let path = "", last = -Infinity;
    for (const [seconds, probabilities] of points) {
      path += `${seconds - last > gap ? "M" : "L"}${x(seconds).toFixed(1)} ${y(probabilities[emotion]).toFixed(1)}`;
      last = seconds;
    }
    if (path) picture.append(shape("path", { ...stroke(emotion, model), d: path }));
  }
  const legend = element("ul", { className: "legend" });
  for (const emotion of model.emotions) {
    const sample = shape("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
    sample.append(shape("path", { ...stroke(emotion, model), d: "M0 5H26" }));
    legend.append(element("li", {}, sample, emotion));
  }
  return [picture, legend];
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(Math.round(seconds - 60 * minutes)).padStart(2, "0")}`;
}

function inWords(points, model) {
  if (!points.length) return "Emotions over time: no face yet";
  const shares = model.emotions.map((emotion) => {
    const sum = points.reduce((total, [, probabilities]) => total + probabilities[emotion], 0);
    return [emotion, sum / points.length];
  }).sort((a, b) => b[1] - a[1]);
  const words = shares.slice(0, 3).map(([emotion, share]) => `${emotion} ${percent(share)}`).join(", ");
  return `Emotions over time, on average ${words}`;
}

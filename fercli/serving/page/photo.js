// One photograph among the results: the picture with its boxes, and what was found in each face.

import { explain } from "./api.js";
import { bars, describe, drawBoxes, element, percent, thumbnail } from "./drawing.js";

const MAX_SIDE = 1600;

// `file` is a Blob with a name; `answer` is that of predict. Returns an article.
export async function photo(file, name, answer, model, which) {
  const article = element("article");
  const faces = element("div");
  article.append(element("h3", { textContent: name }), element("div", { className: "pair" }));
  article.lastChild.append(element("div"), faces);
  let picture = null;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch { // such as HEIC, which the server reads, and most browsers do not
    article.querySelector(".pair > div").append(
      element("p", { className: "muted", textContent: "This browser cannot show the picture." }));
  }
  if (picture) article.querySelector(".pair > div").append(draw(picture, answer, model));
  faces.append(element("p", { className: "muted", textContent: summary(answer) }));
  answer.faces.forEach((face, index) => faces.append(faceOf(file, picture, face, index, answer, model, which)));
  picture?.close(); // many photographs would take much memory until they are collected
  return article;
}

function summary(answer) {
  const more = answer.left_out ? `; ${answer.left_out} smaller ones are left out` : "";
  return answer.faces.length ? `${describe(answer.faces)}${more}` :
    "No face found. If the picture is one face, choose so beside \u201cFaces\u201d, and drop it again.";
}

function draw(picture, answer, model) {
  const scale = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  const canvas = element("canvas", {
    className: "photo", width: Math.round(picture.width * scale), height: Math.round(picture.height * scale),
  });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `The picture, ${describe(answer.faces)}`);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  drawBoxes(context, answer, model.colors);
  return canvas;
}

function faceOf(file, picture, face, index, answer, model, which) {
  const made = element("div", { className: "face" });
  made.append(picture ? thumbnail(picture, face.box) : element("span"));
  const title = `Face ${index + 1}: ${face.emotion} ${percent(face.probabilities[face.emotion])}`;
  made.append(element("div", {}, element("h3", { textContent: title }), bars(face.probabilities, model.colors)));
  if (model.explains) made.append(why(file, face, index, model, which));
  return made;
}

// The button, and the emotion, for the heat map of a face.
function why(file, face, index, model, which) {
  const place = element("div", { className: "why" });
  const button = element("button", { type: "button", textContent: "Show the evidence for" });
  const select = element("select", {}, ...model.emotions.map((emotion) => element("option", { textContent: emotion })));
  select.value = face.emotion;
  select.setAttribute("aria-label", `Emotion of face ${index + 1} to show the evidence for`);
  const figure = element("figure", { hidden: true });
  const show = async () => {
    button.disabled = true;
    try {
      const heat = await explain(file, model.name, which, index, select.value);
      const image = element("img", { alt: `Face ${index + 1}, brighter where the evidence for ${select.value} lies` });
      image.src = URL.createObjectURL(heat);
      image.onload = () => URL.revokeObjectURL(image.src);
      const text = `Brighter: more evidence for ${select.value} (Grad-CAM); grey: none.`;
      figure.replaceChildren(image, element("figcaption", { textContent: text }));
    } catch (error) {
      figure.replaceChildren(element("figcaption", { textContent: error.message }));
    }
    figure.hidden = false;
    button.disabled = false;
  };
  button.onclick = show;
  select.onchange = () => figure.hidden || show();
  place.append(button, select, figure);
  return place;
}

// The page: what its buttons do.

import { card, models, predict } from "./api.js";
import { describe, element } from "./drawing.js";
import { Moving } from "./moving.js";
import { photo } from "./photo.js";
import { Table } from "./table.js";

const $ = (id) => document.getElementById(id);
const table = new Table();
let known = [];
let moving = null;

const model = () => known.find((one) => one.name === $("model").value);

function say(text) {
  $("said").textContent = text;
}

function complain(error) {
  $("problem").textContent = error.message || String(error);
  $("problem").hidden = false;
}

function count() {
  $("saving").hidden = !table.rows.length;
  $("count").textContent = table.rows.length === 1 ? "1 row" : `${table.rows.length.toLocaleString("en")} rows`;
}

async function addPhoto(file, name) {
  const chosen = model(), which = $("which").value;
  const answer = await predict(file, chosen.name, which);
  table.add(name, 0, null, answer);
  $("results").hidden = false;
  $("pictures").prepend(await photo(file, name, answer, chosen, which));
  say(`${name}: ${describe(answer.faces)}`);
  count();
}

async function add(files) {
  $("problem").hidden = true;
  document.body.setAttribute("aria-busy", "true");
  for (const file of files) {
    try {
      await (file.type.startsWith("video/") ? play((one) => one.film(file, Number($("step").value)), file.name)
        : addPhoto(file, file.name));
    } catch (error) {
      complain(new Error(`${file.name}: ${error.message.replace(`${file.name}: `, "")}`));
    }
  }
  document.body.removeAttribute("aria-busy");
}

// Runs a camera or film to its end.
async function play(run, source) {
  moving?.end();
  const own = new Moving(model(), (frame, seconds, answer) => {
    table.add(source, frame, seconds, answer);
    count();
  });
  moving = own;
  $("person").onchange = () => {
    own.chosen = true;
    own.redraw(true);
  };
  $("stop").disabled = $("keep").disabled = false;
  $("camera").disabled = true;
  try {
    await run(own);
    if (own.error) throw own.error;
  } finally {
    own.stop();
    if (moving === own) {
      $("camera").disabled = false;
      $("stop").disabled = true;
      if (source === "camera") $("keep").disabled = true;
    }
    if (own.people.size) say(`${source}: ended; ${own.people.size === 1 ? "1 person" : `${own.people.size} people`}`);
  }
}

$("choose").onclick = () => $("files").click();
$("files").onchange = async () => {
  const files = [...$("files").files];
  $("files").value = "";
  await add(files);
};
$("camera").onclick = () => {
  $("problem").hidden = true;
  play((one) => one.camera(), "camera").catch((error) => {
    if (!moving?.number) $("moving").hidden = true;
    complain(error);
  });
};
$("stop").onclick = () => moving?.stop();
$("keep").onclick = async () => {
  const picture = await moving.capture(4096, 0.95);
  const name = `${$("moving-title").textContent} at ${moving.last.toFixed(1)} s.jpg`;
  addPhoto(picture, name).catch(complain);
};
$("csv").onclick = () => {
  const link = element("a", { download: "emotions.csv" });
  link.href = URL.createObjectURL(new Blob([table.csv()], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
$("clear").onclick = () => {
  table.rows = [];
  moving?.end();
  moving = null;
  $("pictures").replaceChildren();
  for (const id of ["results", "moving", "problem"]) $(id).hidden = true;
  count();
  $("choose").focus();
};

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) add([...event.clipboardData.files]);
});

async function showCard() {
  if (!$("about").open) return;
  try {
    $("card").innerHTML = await card(model().name); // the server escapes what is not Markdown
  } catch (error) {
    complain(error);
  }
}
$("about").ontoggle = showCard;
$("model").onchange = () => {
  moving?.stop();
  showCard();
};

try {
  const { models: found, limits } = await models();
  known = found;
  $("model").replaceChildren(...found.map((one) => element("option", { textContent: one.name })));
  $("limits").textContent = `Photographs up to ${limits.megabytes} MB and ${limits.megapixels} million pixels.`;
} catch (error) {
  complain(error);
}

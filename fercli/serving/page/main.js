// The page: what its buttons do.

import { card, models, predict } from "./api.js";
import { describe, element } from "./drawing.js";
import { Moving } from "./moving.js";
import { photo } from "./photo.js";
import { Table } from "./table.js";

const $ = (id) => document.getElementById(id);
const table = new Table();
let known = [];
let limits = null;
let moving = null;
let round = 0; // that ends with "Clear"

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
  const rows = table.rows.length === 1 ? "1 row" : `${table.rows.length.toLocaleString("en")} rows`;
  $("count").textContent = table.left ? `${rows}; older ones are left out` : rows;
}

async function addPhoto(file, name) {
  const chosen = model(), which = $("which").value, own = round;
  if (file.size > 1e6 * limits.megabytes) { // the server would cut the connection
    throw new Error(`${(file.size / 1e6).toFixed(1)} MB; the limit is ${limits.megabytes} MB`);
  }
  const answer = await predict(file, chosen.name, which);
  if (own !== round) return;
  table.add(name, 0, null, answer);
  $("results").hidden = false;
  $("pictures").prepend(await photo(file, name, answer, chosen, which));
  say(`${name}: ${describe(answer.faces)}`);
  count();
}

async function add(files) {
  $("problem").hidden = true;
  const own = round, problems = [];
  $("pictures").setAttribute("aria-busy", "true");
  for (const file of files) {
    try {
      await (file.type.startsWith("video/") ? play((one) => one.film(file, Number($("step").value)), file.name)
        : addPhoto(file, file.name));
    } catch (error) {
      problems.push(`${file.name}: ${error.message.replace(`${file.name}: `, "")}`);
      complain(problems.join("\n"));
    }
    if (own !== round) break;
  }
  $("pictures").removeAttribute("aria-busy");
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
  } catch (error) {
    if (!own.stopped) own.error = error; // what was stopped breaks off as it may
  }
  own.stop();
  if (!moving || moving === own) {
    $("camera").disabled = false;
    $("stop").disabled = true;
    if (source === "camera") $("keep").disabled = true;
    if (!own.number) $("moving").hidden = true;
  }
  if (own.number) say(`${source}: ended; ${own.met === 1 ? "1 person" : `${own.met || "no"} people`}`);
  if (own.error) throw own.error;
}

$("choose").onclick = () => $("files").click();
$("files").onchange = async () => {
  const files = [...$("files").files];
  $("files").value = "";
  await add(files);
};
$("camera").onclick = () => {
  $("problem").hidden = true;
  play((one) => one.camera(), "camera").catch(complain);
};
$("stop").onclick = () => moving?.stop();
$("keep").onclick = async () => {
  const name = `${$("moving-title").textContent} at ${moving.last.toFixed(1)} s.jpg`;
  try {
    await addPhoto(await moving.capture(4096, 0.95), name);
  } catch (error) {
    complain(error);
  }
};
$("csv").onclick = () => {
  const link = element("a", { download: "emotions.csv" });
  link.href = URL.createObjectURL(new Blob([table.csv()], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
$("clear").onclick = () => {
  table.clear();
  round++;
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
    const { name } = model();
    const text = await card(name);
    if (name === model().name) $("card").innerHTML = text; // the server escapes what is not Markdown
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
  const answer = await models();
  known = answer.models;
  limits = answer.limits;
  $("model").replaceChildren(...known.map((one) => element("option", { textContent: one.name })));
  $("limits").textContent = `Photographs up to ${limits.megabytes} MB and ${limits.megapixels} million pixels.`;
} catch (error) {
  complain(error);
}

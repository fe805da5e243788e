// All faces found so far, as `fer predict --csv` writes them.

const COLUMNS = ["source", "frame", "time", "face", "face_id", "left", "top", "width", "height", "score", "emotion"];
const MAX_ROWS = 500000;

export class Table {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = []; // as text, which takes a fraction of the memory of the answers
    this.left = false;
    this.models = new Map(); // the names of emotions, once for all rows of a model
    this.emotions = [];
  }

  add(source, frame, time, answer) {
    const start = [cell(source), frame, time === null ? "" : time.toFixed(3)];
    answer.faces.forEach((face, index) => {
      const box = face.box.map((value) => value.toFixed(1));
      const score = face.score === null ? "" : face.score.toFixed(4);
      const probabilities = Object.values(face.probabilities).map((value) => value.toFixed(6));
      this.rows.push({
        line: [...start, index, face.id ?? "", ...box, score, cell(face.emotion)].join(","),
        probabilities: probabilities.join(","),
        emotions: this.namesOf(face.probabilities),
      });
    });
    if (!answer.faces.length) {
      const line = [...start, ...Array(COLUMNS.length - start.length).fill("")].join(",");
      this.rows.push({ line, probabilities: "", emotions: [] });
    }
    if (this.rows.length > MAX_ROWS) {
      this.rows.splice(0, this.rows.length - MAX_ROWS);
      this.left = true;
    }
  }

  namesOf(probabilities) {
    const names = Object.keys(probabilities), key = names.join("\n");
    if (!this.models.has(key)) {
      this.models.set(key, names);
      this.emotions = [...new Set([...this.emotions, ...names])];
    }
    return this.models.get(key);
  }

  csv() {
    const lines = [[...COLUMNS, ...this.emotions].map(cell).join(",")];
    for (const { line, probabilities, emotions } of this.rows) {
      const values = probabilities.split(",");
      lines.push([line, ...this.emotions.map((emotion) => values[emotions.indexOf(emotion)] ?? "")].join(","));
    }
    return lines.map((line) => `${line}\n`).join("");
  }
}

// Names come from files, so a spreadsheet must not take one for a formula.
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// All faces found so far, as `fer predict --csv` writes them.

const COLUMNS = ["source", "frame", "time", "face", "face_id", "left", "top", "width", "height", "score", "emotion"];
const MAX_ROWS = 500000;

export class Table {
  constructor() {
    this.rows = [];
    this.emotions = [];
  }

  add(source, frame, time, answer) {
    this.emotions = [...new Set([...this.emotions, ...answer.faces.flatMap((face) => Object.keys(face.probabilities))])];
    answer.faces.forEach((face, index) => this.rows.push({ source, frame, time, face, index }));
    if (!answer.faces.length) this.rows.push({ source, frame, time, face: null, index: null });
    if (this.rows.length > MAX_ROWS) this.rows.splice(0, this.rows.length - MAX_ROWS);
  }

  csv() {
    const lines = [[...COLUMNS, ...this.emotions].map(cell)];
    for (const { source, frame, time, face, index } of this.rows) {
      const start = [cell(source), frame, time === null ? "" : time.toFixed(3)];
      if (face === null) {
        lines.push([...start, ...Array(COLUMNS.length - 3 + this.emotions.length).fill("")]);
        continue;
      }
      const box = face.box.map((value) => value.toFixed(1));
      const score = face.score === null ? "" : face.score.toFixed(4);
      const probabilities = this.emotions.map((emotion) => face.probabilities[emotion]?.toFixed(6) ?? "");
      lines.push([...start, index, face.id ?? "", ...box, score, cell(face.emotion), ...probabilities]);
    }
    return lines.map((line) => `${line.join(",")}\n`).join("");
  }
}

// Names come from files, so a spreadsheet must not take one for a formula.
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

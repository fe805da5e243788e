// A camera or a film: its frames go to the server one after the other.

import { Live } from "./api.js";
import { chart } from "./chart.js";
import { bars, drawBoxes, element } from "./drawing.js";

const MAX_SIDE = 640; // of the frames that are sent: larger ones are not recognised better
const QUALITY = 0.85;
const AHEAD = 2; // one is recognised while the next travels; further ones are dropped here
const SHOWN_SECONDS = 60;
const REDRAW_MS = 250;

const $ = (id) => document.getElementById(id);

export class Moving {
  // `found(frame, seconds, answer)` is called for every frame.
  constructor(model, found) {
    this.model = model;
    this.found = found;
    this.video = $("video");
    this.people = new Map(); // id -> [[seconds, probabilities], …]
    this.frame = document.createElement("canvas");
    this.running = false;
    this.drawn = 0;
  }

  async camera() {
    if (!navigator.mediaDevices) throw new Error("browsers give pages the camera by https or on this machine alone");
    try {
      this.media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" } });
    } catch (error) {
      throw new Error(error.name === "NotAllowedError" ? "the browser was not allowed to use the camera"
        : `no camera: ${error.message}`);
    }
    this.video.srcObject = this.media;
    await this.video.play();
    this.begin(true, "Camera");
    this.window = SHOWN_SECONDS;
    const started = performance.now();
    this.live = new Live(this.model.name, AHEAD);
    await this.live.opened;
    const times = [];
    while (this.running) {
      await this.nextFrame();
      if (!this.running || this.live.full) continue;
      const sent = performance.now();
      const seconds = (sent - started) / 1000;
      const picture = await this.capture();
      this.live.send(seconds, picture).then((answer) => {
        if (!answer || !this.running) return;
        times.push(performance.now());
        while (times.length > 2 && times[0] < times.at(-1) - 3000) times.shift();
        const rate = times.length > 2 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
        $("status").textContent = `${rate.toFixed(1)} frames/s, answered after ${Math.round(performance.now() - sent)} ms`;
        this.show(seconds, answer);
      }).catch((error) => this.fail(error));
    }
  }

  async film(file, step) {
    this.url = URL.createObjectURL(file);
    this.video.src = this.url;
    await new Promise((resolve, reject) => {
      this.video.onloadeddata = resolve;
      this.video.onerror = () => reject(new Error(`${file.name}: this browser cannot play it; use fer predict`));
    });
    this.begin(false, file.name);
    this.window = Infinity;
    this.step = step;
    this.live = new Live(this.model.name, 1);
    await this.live.opened;
    const duration = Number.isFinite(this.video.duration) ? this.video.duration : 0;
    for (let seconds = 0; this.running && seconds <= duration; seconds += step) {
      await this.seek(seconds);
      const answer = await this.live.send(seconds, await this.capture());
      if (!this.running) break;
      $("status").textContent = `${seconds.toFixed(1)} of ${duration.toFixed(1)} s`;
      if (answer) this.show(seconds, answer);
    }
    this.redraw(true);
  }

  begin(mirrored, title) {
    this.running = true;
    this.mirrored = mirrored;
    this.number = 0;
    this.last = 0;
    $("moving-title").textContent = title;
    $("stage").classList.toggle("mirrored", mirrored);
    $("status").textContent = "";
    $("now").replaceChildren();
    $("chart").replaceChildren();
    $("moving").hidden = false;
    $("moving").scrollIntoView({ block: "nearest" });
  }

  nextFrame() {
    const video = this.video;
    if (!video.requestVideoFrameCallback) return new Promise(requestAnimationFrame);
    // A camera that stands still sends none.
    return new Promise((resolve) => {
      video.requestVideoFrameCallback(resolve);
      setTimeout(resolve, 500);
    });
  }

  seek(seconds) {
    return new Promise((resolve) => {
      this.video.onseeked = resolve;
      this.video.currentTime = seconds;
      setTimeout(resolve, 5000); // some films have no frame at their end
    });
  }

  capture(side = MAX_SIDE, quality = QUALITY) {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
    this.frame.width = Math.round(videoWidth * scale);
    this.frame.height = Math.round(videoHeight * scale);
    this.frame.getContext("2d").drawImage(this.video, 0, 0, this.frame.width, this.frame.height);
    return new Promise((resolve) => this.frame.toBlob(resolve, "image/jpeg", quality));
  }

  show(seconds, answer) {
    this.last = seconds;
    this.found(this.number++, seconds, answer);
    const canvas = $("boxes");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    drawBoxes(canvas.getContext("2d"), answer, this.model.colors, this.mirrored);
    for (const face of answer.faces) {
      if (!this.people.has(face.id)) this.people.set(face.id, []);
      this.people.get(face.id).push([seconds, face.probabilities]);
    }
    this.answer = answer;
    this.redraw(false);
  }

  redraw(always) {
    const now = performance.now();
    if (!always && now - this.drawn < REDRAW_MS) return;
    this.drawn = now;
    this.choosePerson();
    const id = $("person").value;
    const points = (this.people.get(id) || []).filter(([seconds]) => seconds >= this.last - this.window);
    const seen = this.answer?.faces.find((face) => face.id === id);
    $("now").replaceChildren(seen ? bars(seen.probabilities, this.model.colors)
      : element("p", { className: "muted", textContent: this.people.size ? "not in this frame" : "no face yet" }));
    const from = this.window === Infinity ? 0 : Math.max(0, this.last - this.window);
    const gap = this.step ? 2.5 * this.step : 1;
    $("chart").replaceChildren(...chart(points, this.model, from, Math.max(this.last, from + 1), gap));
  }

  // Lists the people; unless one was chosen, the one with the largest face now is shown.
  choosePerson() {
    const select = $("person");
    const ids = [...this.people.keys()];
    if (select.options.length !== ids.length) {
      const chosen = select.value;
      select.replaceChildren(...ids.map((id) => element("option", { value: id, textContent: Number(id) })));
      if (ids.includes(chosen)) select.value = chosen;
    }
    $("person-field").hidden = ids.length < 2;
    const largest = this.answer?.faces[0]?.id;
    if (!this.chosen && largest) select.value = largest;
  }

  fail(error) {
    if (!this.running) return;
    this.error = error;
    this.stop();
  }

  stop() {
    this.running = false;
    this.live?.close();
    for (const track of this.media?.getTracks() || []) track.stop();
    this.video.pause();
  }

  end() {
    this.stop();
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

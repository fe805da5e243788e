// A camera or a film: its frames go to the server one after the other.

import { Live } from "./api.js";
import { chart } from "./chart.js";
import { bars, drawBoxes, element } from "./drawing.js";

const MAX_SIDE = 640; // of the frames that are sent: larger ones are not recognised better
const QUALITY = 0.85;
const AHEAD = 2; // one is recognised while the next travels; further ones are dropped here
const SHOWN_SECONDS = 60;
const CAMERA = { video: { width: { ideal: 1280 }, facingMode: "user" } };
const REDRAW_MS = 250;

const $ = (id) => document.getElementById(id);

export class Moving {
  // `found(frame, seconds, answer)` is called for every frame.
  constructor(model, found) {
    this.model = model;
    this.found = found;
    this.video = $("video");
    this.people = new Map(); // id -> [[seconds, probabilities], …]
    this.met = 0;
    this.frame = document.createElement("canvas");
    this.running = this.stopped = false;
    this.drawn = 0;
  }

  async camera() {
    if (!navigator.mediaDevices) throw new Error("browsers give pages the camera by https or on this machine alone");
    try {
      await this.wait((resolve, reject) => navigator.mediaDevices.getUserMedia(CAMERA).then((media) => {
        this.media = media;
        if (this.stopped) this.release(); // while the browser asked
        resolve();
      }, reject));
    } catch (error) {
      throw new Error(error.name === "NotAllowedError" ? "the browser was not allowed to use the camera"
        : `no camera: ${error.message}`);
    }
    if (this.stopped) return;
    for (const track of this.media.getTracks()) track.onended = () => this.fail(new Error("the camera has ended"));
    this.video.srcObject = this.media;
    await this.video.play();
    if (this.stopped) return;
    this.begin(true, "Camera");
    this.window = SHOWN_SECONDS;
    const started = performance.now();
    await this.connect(AHEAD);
    const times = [];
    while (this.running) {
      await this.nextFrame();
      if (!this.running || this.live.full) continue;
      const sent = performance.now();
      const seconds = (sent - started) / 1000;
      const picture = await (await this.capture()).arrayBuffer();
      this.live.send(seconds, picture).then((answer) => {
        if (!answer || !this.running) return;
        times.push(performance.now());
        while (times.length > 2 && times[0] < times.at(-1) - 3000) times.shift();
        const rate = times.length > 2 ? (1000 * (times.length - 1)) / (times.at(-1) - times[0]) : 0;
        const late = Math.round(performance.now() - sent);
        $("status").textContent = `${rate.toFixed(1)} frames/s, answered after ${late} ms`;
        this.show(seconds, answer);
      }).catch((error) => this.fail(error));
    }
  }

  async film(file, step) {
    this.url = URL.createObjectURL(file);
    this.video.src = this.url;
    await this.wait((resolve, reject) => {
      this.video.onloadeddata = resolve;
      this.video.onerror = () => reject(new Error(`${file.name}: this browser cannot play it; use fer predict`));
    });
    if (this.stopped) return;
    this.begin(false, file.name);
    this.video.onerror = () => this.fail(new Error("this browser cannot play it to its end; use fer predict"));
    this.window = Infinity;
    this.step = step;
    await this.connect(1);
    if (this.video.duration === Infinity) await this.seek(1e7); // a browser's recording does not say how long it is
    const duration = Number.isFinite(this.video.duration) ? this.video.duration : this.video.currentTime;
    for (let number = 0; this.running && number * step <= duration; number++) {
      const seconds = number * step;
      await this.seek(seconds);
      if (!this.running) break;
      const answer = await this.live.send(seconds, await (await this.capture()).arrayBuffer());
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

  // Waits until `start` calls what it is given, or the end.
  wait(start) {
    return new Promise((resolve, reject) => {
      this.wake = resolve;
      start(resolve, reject);
    });
  }

  async connect(ahead) {
    this.live = new Live(this.model.name, ahead);
    await this.wait((resolve, reject) => this.live.opened.then(resolve, reject));
  }

  async nextFrame() {
    const video = this.video, ofVideo = "requestVideoFrameCallback" in video;
    let frame, timer;
    await this.wait((resolve) => {
      frame = ofVideo ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve);
      timer = setTimeout(resolve, 500); // a camera that stands still, and a hidden page, have none
    });
    clearTimeout(timer);
    ofVideo ? video.cancelVideoFrameCallback(frame) : cancelAnimationFrame(frame);
  }

  // Goes to a time of the film. The frame is sometimes there only after "seeked": until it was shown, it may be black.
  async seek(seconds) {
    const video = this.video;
    let timer;
    await this.wait((resolve) => {
      let sought = false, shown = !("requestVideoFrameCallback" in video);
      if (!shown) {
        video.requestVideoFrameCallback(() => {
          shown = true;
          if (sought) resolve();
        });
      }
      timer = setTimeout(resolve, 5000); // some films have no frame at their end
      video.onseeked = () => {
        sought = true;
        clearTimeout(timer);
        if (shown) resolve();
        else timer = setTimeout(resolve, 250); // a hidden page shows none
      };
      video.currentTime = seconds;
    });
    clearTimeout(timer);
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
      if (!this.people.has(face.id)) {
        this.people.set(face.id, []);
        this.met++;
      }
      this.people.get(face.id).push([seconds, face.probabilities]);
    }
    this.forget(seconds - this.window);
    this.answer = answer;
    this.redraw(false);
  }

  // Forgets what is no longer shown: a camera may run for hours.
  forget(before) {
    for (const [id, points] of this.people) {
      while (points.length && points[0][0] < before) points.shift();
      if (!points.length && id !== $("person").value) this.people.delete(id);
    }
  }

  redraw(always) {
    const now = performance.now();
    if (!always && now - this.drawn < REDRAW_MS) return;
    this.drawn = now;
    this.choosePerson();
    const id = $("person").value;
    const points = this.people.get(id) || [];
    const seen = this.answer?.faces.find((face) => face.id === id);
    $("now").replaceChildren(seen ? bars(seen.probabilities, this.model.colors)
      : element("p", { className: "muted", textContent: this.met ? "not in this frame" : "no face yet" }));
    const from = this.window === Infinity ? 0 : Math.max(0, this.last - this.window);
    const gap = this.step ? 2.5 * this.step : 1;
    const width = Math.max(280, $("chart").clientWidth);
    $("chart").replaceChildren(...chart(points, this.model, from, Math.max(this.last, from + 1), gap, width));
  }

  // Lists the people; unless one was chosen, the one with the largest face now is shown.
  choosePerson() {
    const select = $("person");
    const ids = [...this.people.keys()];
    if ([...select.options].map((option) => option.value).join() !== ids.join()) {
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

  // Stops it, once: afterwards the video may be another's.
  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.running = false;
    this.live?.close();
    this.release();
    this.video.pause();
    this.wake?.();
  }

  release() {
    for (const track of this.media?.getTracks() || []) track.stop();
  }

  end() {
    this.stop();
    this.video.onloadeddata = this.video.onseeked = this.video.onerror = null;
    this.video.removeAttribute("src");
    this.video.srcObject = null; // this also frees a film
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

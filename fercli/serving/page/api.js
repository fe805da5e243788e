// The server's JSON API.

const RETRIES = 5;

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function ask(path, options) {
  for (let attempt = 0; ; attempt++) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error("the server does not answer; is fer serve still running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 429 && attempt < RETRIES) {
      await pause(Number(answer.headers.get("retry-after") || 1) * (1 + Math.random()));
      continue;
    }
    const text = await answer.text();
    let detail = `the server answers ${answer.status}`;
    try {
      detail = JSON.parse(text).detail || detail;
    } catch { /* not from the server itself */ }
    throw new Error(detail);
  }
}

const query = (values) => new URLSearchParams(values).toString();
const post = (path, picture) =>
  ask(path, { method: "POST", body: picture, headers: { "content-type": "application/octet-stream" } });

export const models = async () => (await ask("v1/models")).json();
export const card = async (model) => (await ask(`card?${query({ model })}`)).text();
export const predict = async (picture, model, faces) =>
  (await post(`v1/predict?${query({ model, faces })}`, picture)).json();
export const explain = async (picture, model, faces, face, emotion) =>
  (await post(`v1/explain?${query({ model, faces, face, emotion })}`, picture)).blob();

// A connection for the frames of a camera or film. Each is answered in turn as long as no more than two are on their
// way: of further ones the server would drop all but the newest.
export class Live {
  constructor(model, ahead) {
    const address = new URL(`v1/live?${query({ model })}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.ahead = ahead;
    this.waiting = [];
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onclose = (event) => {
        this.error = new Error(event.reason || "the connection to the server has ended");
        reject(this.error);
        for (const one of this.waiting.splice(0)) one.reject(this.error);
      };
    });
    this.socket.onmessage = (event) => {
      const answer = JSON.parse(event.data);
      const one = this.waiting.shift();
      if (one) answer.detail ? one.reject(new Error(answer.detail)) : one.resolve(answer);
    };
  }

  get full() {
    return this.waiting.length >= this.ahead;
  }

  // Returns the faces of a frame, given as an ArrayBuffer; null if the connection was closed here meanwhile. Nothing is
  // awaited before the frame counts as waiting: one too many would be dropped by the server, and never answered.
  async send(seconds, picture) {
    if (this.closed) return null;
    if (this.socket.readyState !== WebSocket.OPEN) throw this.error || new Error("the connection has ended");
    const message = new Uint8Array(8 + picture.byteLength);
    new DataView(message.buffer).setFloat64(0, seconds, true);
    message.set(new Uint8Array(picture), 8);
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.send(message);
    });
  }

  close() {
    this.closed = true;
    this.socket.onclose = null;
    for (const one of this.waiting.splice(0)) one.resolve(null);
    this.socket.close();
  }
}

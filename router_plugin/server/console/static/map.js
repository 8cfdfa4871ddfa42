// Draws the map of the page "Data": points by WebGL, else pixel by pixel on a 2-D canvas; with zoom, legend, tips and found points.
"use strict";

const POINT_COLOURS = ["#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#718096", "#b7791f", "#2c7a7b", "#c53030", "#4a5568"];
const CELLS = 128;
const NEAR = 14;
const LISTED = 100;

const VERTEX = `
attribute vec2 place; attribute float code;
uniform vec2 centre; uniform vec2 scale; uniform float size; uniform vec4 colours[10]; uniform bool marked;
varying vec4 colour;
void main() {
  vec4 own = colours[int(code + 0.5)];
  colour = own;
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  gl_PointSize = own.a > 0.0 || marked ? size : 0.0;
  if (own.a == 0.0 && !marked) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;
const FRAGMENT = `
precision mediump float; varying vec4 colour; uniform bool marked; uniform vec4 ink;
void main() {
  float away = length(gl_PointCoord - 0.5);
  if (away > 0.5) discard;
  if (marked && away < 0.3) discard;
  gl_FragColor = marked ? ink : vec4(colour.rgb * colour.a, colour.a);
}`;

function rgb(colour) {
  const number = parseInt(colour.slice(1), 16);
  return [(number >> 16) / 255, ((number >> 8) & 255) / 255, (number & 255) / 255];
}

class GlPainter {
  constructor(canvas, gl, places) {
    this.canvas = canvas;
    this.gl = gl;
    this.count = places.length / 2;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.uniforms = Object.fromEntries(["centre", "scale", "size", "colours", "marked", "ink"].map((name) => [name, this.at(name)]));
    this.place = gl.getAttribLocation(program, "place");
    this.code = gl.getAttribLocation(program, "code");
    this.buffers = { places: gl.createBuffer(), codes: gl.createBuffer(), marked: gl.createBuffer() };
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.places);
    gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(this.place);
    gl.enableVertexAttribArray(this.code);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.markedCount = 0;
  }

  colour(codes) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers.codes);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, codes, this.gl.STATIC_DRAW);
  }

  mark(places) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers.marked);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, places, this.gl.STATIC_DRAW);
    this.markedCount = places.length / 2;
  }

  draw(view, colours, ink) {
    const { gl, uniforms } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniforms.centre, view.x, view.y);
    gl.uniform2f(uniforms.scale, (2 * view.scale) / this.canvas.width, (2 * view.scale) / this.canvas.height);
    gl.uniform4fv(uniforms.colours, colours.flatMap((each) => [...rgb(each.colour), each.shown ? 0.75 : 0]));
    gl.uniform4f(uniforms.ink, ...rgb(ink), 1);
    gl.uniform1f(uniforms.size, view.point);
    gl.uniform1i(uniforms.marked, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.places);
    gl.vertexAttribPointer(this.place, 2, gl.FLOAT, false, 0, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.codes);
    gl.enableVertexAttribArray(this.code);
    gl.vertexAttribPointer(this.code, 1, gl.UNSIGNED_BYTE, false, 0, 0);
    gl.drawArrays(gl.POINTS, 0, this.count);
    if (!this.markedCount) return;
    gl.uniform1i(uniforms.marked, 1);
    gl.uniform1f(uniforms.size, view.point + 8 * devicePixelRatio);
    gl.disableVertexAttribArray(this.code);
    gl.vertexAttrib1f(this.code, 0);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.marked);
    gl.vertexAttribPointer(this.place, 2, gl.FLOAT, false, 0, 0);
    gl.drawArrays(gl.POINTS, 0, this.markedCount);
  }
}

// Writes pixels itself, which is much faster than WebGL without a GPU.
class PixelPainter {
  constructor(canvas, places) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.places = places;
    this.marked = new Float32Array();
  }

  colour(codes) {
    this.codes = codes;
  }

  mark(places) {
    this.marked = places;
  }

  draw(view, colours, ink) {
    const { width, height } = this.canvas;
    if (this.image?.width !== width || this.image.height !== height) {
      this.image = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(0);
    const inks = colours.map((each) => (each.shown ? pixelOf(each.colour) : 0));
    this.stamp(view, this.places, 0, view.point / 2, (point) => inks[this.codes[point]]);
    const ring = pixelOf(ink);
    this.stamp(view, this.marked, view.point / 2 + 2 * devicePixelRatio, view.point / 2 + 4 * devicePixelRatio, () => ring);
    this.context.putImageData(this.image, 0, 0);
  }

  stamp(view, places, inner, outer, inkOf) {
    const { width, height } = this.canvas;
    const edge = Math.ceil(outer);
    const shape = [];
    for (let y = -edge; y <= edge; y++) {
      for (let x = -edge; x <= edge; x++) if (Math.hypot(x, y) <= outer && Math.hypot(x, y) >= inner) shape.push(y * width + x);
    }
    for (let point = 0; 2 * point < places.length; point++) {
      const ink = inkOf(point);
      const x = Math.round((places[2 * point] - view.x) * view.scale + width / 2);
      const y = Math.round(height / 2 - (places[2 * point + 1] - view.y) * view.scale);
      if (!ink || x < edge || y < edge || x >= width - edge || y >= height - edge) continue;
      for (const away of shape) this.pixels[y * width + x + away] = ink;
    }
  }
}

// Whether WebGL runs on a GPU; a canvas of its own is asked, as one that had WebGL gives no other context.
function hasGpu() {
  const gl = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
  const names = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = gl ? String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER)) : "software";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

function pixelOf(colour) {
  const [red, green, blue] = rgb(colour).map((each) => Math.round(255 * each));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// The points in each cell of a grid over the unit square: starts[cell] to starts[cell + 1] in order.
function gridOf(places) {
  const count = places.length / 2;
  const cells = new Uint32Array(count);
  const starts = new Uint32Array(CELLS * CELLS + 1);
  const cell = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(value * CELLS)));
  for (let point = 0; point < count; point++) {
    cells[point] = cell(places[2 * point + 1]) * CELLS + cell(places[2 * point]);
    starts[cells[point] + 1]++;
  }
  for (let each = 0; each < CELLS * CELLS; each++) starts[each + 1] += starts[each];
  const order = new Uint32Array(count);
  const next = starts.slice();
  for (let point = 0; point < count; point++) order[next[cells[point]]++] = point;
  return { starts, order, cell };
}

class PointMap {
  constructor(root, described, buffer) {
    this.described = described;
    this.canvas = root.querySelector("canvas");
    this.tip = document.getElementById("map-tip");
    this.legend = document.getElementById("map-legend");
    this.state = document.getElementById("map-state");
    this.places = new Float32Array(buffer, 0, 2 * described.count);
    this.codes = described.colourings.map((_, number) => new Uint8Array(buffer, (8 + number) * described.count, described.count));
    this.grid = gridOf(this.places);
    this.frames = 0;
    this.pointers = new Map();
    const gl = hasGpu() ? this.canvas.getContext("webgl") : null;
    this.painter = gl ? new GlPainter(this.canvas, gl, this.places) : new PixelPainter(this.canvas, this.places);
    this.fit();
    this.colourBy(0);
    this.listen(root);
    this.state.textContent = "";
  }

  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    this.canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    this.least = 0.92 * Math.min(this.canvas.width, this.canvas.height);
    this.view = { x: 0.5, y: 0.5, scale: this.least, point: this.pointSize() };
    this.redraw();
  }

  pointSize() {
    return devicePixelRatio * (this.described.count > 20000 ? 3 : this.described.count > 2000 ? 4 : 6);
  }

  colourBy(number) {
    const { labels, counts } = this.described.colourings[number];
    this.current = this.codes[number];
    this.colours = POINT_COLOURS.map((colour, code) => ({ colour, shown: code < labels.length }));
    this.painter.colour(this.current);
    this.legend.replaceChildren(...labels.map((label, code) => this.legendButton(label, counts[code], code)));
    this.redraw();
  }

  legendButton(label, count, code) {
    const button = document.createElement("button");
    const swatch = document.createElement("span");
    swatch.className = "map-swatch";
    swatch.style.background = POINT_COLOURS[code];
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(swatch, ` ${label} `, count.toLocaleString("en"));
    button.addEventListener("click", () => {
      this.colours[code].shown = !this.colours[code].shown;
      button.setAttribute("aria-pressed", String(this.colours[code].shown));
      this.redraw();
    });
    return button;
  }

  mark(points) {
    const places = new Float32Array(2 * points.length);
    points.forEach((point, number) => places.set(this.places.subarray(2 * point, 2 * point + 2), 2 * number));
    this.painter.mark(places);
    this.redraw();
  }

  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.frames++;
      const ink = getComputedStyle(document.body).getPropertyValue("--ink").trim();
      this.painter.draw(this.view, this.colours, /^#[0-9a-f]{6}$/i.test(ink) ? ink : "#c53030");
    });
  }

  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * devicePixelRatio - this.canvas.width / 2;
    const y = this.canvas.height / 2 - (event.clientY - box.top) * devicePixelRatio;
    return { x: this.view.x + x / this.view.scale, y: this.view.y + y / this.view.scale };
  }

  zoom(factor, place = this.view) {
    const scale = Math.max(this.least / 2, Math.min(this.least * 500, this.view.scale * factor));
    const moved = this.view.scale / scale;
    this.view.x = place.x + (this.view.x - place.x) * moved;
    this.view.y = place.y + (this.view.y - place.y) * moved;
    this.view.scale = scale;
    this.redraw();
  }

  move(right, up) {
    this.view.x = Math.max(0, Math.min(1, this.view.x + right / this.view.scale));
    this.view.y = Math.max(0, Math.min(1, this.view.y + up / this.view.scale));
    this.redraw();
  }

  *shownWithin(left, right, bottom, top) {
    const { starts, order, cell } = this.grid;
    for (let row = cell(bottom); row <= cell(top); row++) {
      for (let at = starts[row * CELLS + cell(left)]; at < starts[row * CELLS + cell(right) + 1]; at++) {
        const point = order[at];
        const x = this.places[2 * point];
        const y = this.places[2 * point + 1];
        if (x >= left && x <= right && y >= bottom && y <= top && this.colours[this.current[point]].shown) yield point;
      }
    }
  }

  nearest(place) {
    const reach = (NEAR * devicePixelRatio) / this.view.scale;
    let best = -1;
    let least = reach * reach;
    for (const point of this.shownWithin(place.x - reach, place.x + reach, place.y - reach, place.y + reach)) {
      const away = (this.places[2 * point] - place.x) ** 2 + (this.places[2 * point + 1] - place.y) ** 2;
      if (away <= least) [best, least] = [point, away];
    }
    return best;
  }

  inView() {
    const across = this.canvas.width / 2 / this.view.scale;
    const up = this.canvas.height / 2 / this.view.scale;
    const found = [];
    for (const point of this.shownWithin(this.view.x - across, this.view.x + across, this.view.y - up, this.view.y + up)) {
      if (found.length === LISTED) break;
      found.push(point);
    }
    return found;
  }

  list(points) {
    htmx.ajax("GET", `${this.described.found}&at=${points.join(",")}`, "#found");
  }

  async showTip(event) {
    const point = this.nearest(this.placeOf(event));
    if (point === this.tipped) return;
    this.tipped = point;
    this.tip.hidden = true;
    if (point < 0) return;
    await new Promise((done) => setTimeout(done, 80));
    if (point !== this.tipped) return;
    const answer = await fetch(`${this.described.text}&point=${point}`);
    if (!answer.ok || point !== this.tipped) return;
    const said = await answer.json();
    this.tip.textContent = `${[said.part, said.name].filter(Boolean).join(" · ")}: ${said.text}`;
    const box = this.canvas.getBoundingClientRect();
    this.tip.style.left = `${Math.min(event.clientX - box.left + 12, Math.max(0, box.width - 260))}px`;
    this.tip.style.top = `${event.clientY - box.top + 12}px`;
    this.tip.hidden = false;
  }

  listen(root) {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), this.placeOf(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
      this.moved = this.pointers.size > 1;
    });
    canvas.addEventListener("pointermove", (event) => this.pointerMoved(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        const point = this.nearest(this.placeOf(event));
        if (end === "pointerup" && !this.moved && point >= 0) this.list([point]);
        this.pointers.delete(event.pointerId);
      });
    }
    canvas.addEventListener("pointerleave", () => {
      this.tipped = -1;
      this.tip.hidden = true;
    });
    const step = () => 0.1 * Math.min(canvas.width, canvas.height);
    const keys = {
      "+": () => this.zoom(1.4),
      "=": () => this.zoom(1.4),
      "-": () => this.zoom(1 / 1.4),
      0: () => this.fit(),
      ArrowLeft: () => this.move(-step(), 0),
      ArrowRight: () => this.move(step(), 0),
      ArrowUp: () => this.move(0, step()),
      ArrowDown: () => this.move(0, -step()),
    };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    const buttons = { in: () => this.zoom(1.4), out: () => this.zoom(1 / 1.4), all: () => this.fit(), list: () => this.list(this.inView()) };
    root.querySelectorAll("[data-zoom]").forEach((each) => each.addEventListener("click", buttons[each.dataset.zoom]));
    document.getElementById("map-colouring").addEventListener("change", (event) => this.colourBy(Number(event.target.value)));
    document.addEventListener("htmx:afterSwap", () => this.markFound());
    window.addEventListener("resize", () => this.fit());
    this.markFound();
  }

  markFound() {
    const found = document.querySelector("#found [data-points]");
    this.mark(found ? JSON.parse(found.dataset.points) : []);
  }

  pointerMoved(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.showTip(event);
      return;
    }
    const others = [...this.pointers.values()].filter((each) => each.pointerId !== event.pointerId);
    if (others.length) {
      const away = (each) => Math.hypot(each.clientX - others[0].clientX, each.clientY - others[0].clientY);
      this.zoom(away(event) / Math.max(1, away(before)), this.placeOf(others[0]));
    } else {
      const [right, down] = [event.clientX - before.clientX, event.clientY - before.clientY];
      this.moved ||= Math.hypot(right, down) > 2;
      if (this.moved) this.move(-right * devicePixelRatio, down * devicePixelRatio);
    }
    if (this.moved || others.length) this.pointers.set(event.pointerId, event);
  }
}

async function load(root) {
  const described = JSON.parse(root.dataset.map);
  const state = document.getElementById("map-state");
  state.textContent = "Loading the points …";
  let answer = await fetch(described.points);
  while (answer.status === 202) {
    await new Promise((done) => setTimeout(done, 2000));
    answer = await fetch(described.points);
  }
  if (!answer.ok) {
    state.textContent = "The points could not be loaded: load the page again.";
    return;
  }
  root.pointMap = new PointMap(root, described, await answer.arrayBuffer());
}

document.addEventListener("DOMContentLoaded", () => {
  const root = document.getElementById("map");
  if (root) load(root);
});

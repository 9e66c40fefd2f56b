// Shows a point cloud (.ply as focdepth_ros writes it) in every <canvas class="fd-cloud">.
//
// data-src: where the cloud lies; data-spacing: angle between neighbouring points, in radians;
// data-half-width: half the width of the picture at one metre, in metres.
// Drag or the arrow keys turn about a point in the middle; wheel, two fingers, + and - come closer or
// go away; a double click or Home returns to where the camera stood. Drawn only when something changes.
(() => {
  "use strict";

  const VERTEX = `
    attribute vec3 position; attribute vec3 colour;
    uniform mat3 turn; uniform vec3 pivot; uniform float distance, spacing, pixels;
    uniform vec2 scale; varying vec3 shade;
    void main() {
      vec3 p = turn * (position - pivot); p.z += distance;
      gl_Position = vec4(scale.x * p.x, -scale.y * p.y, 1.0002 * p.z - 0.02, p.z);
      // A point covers what its pixel saw, so that the cloud is closed from where it was taken.
      gl_PointSize = clamp(1.4 * spacing * position.z * pixels / p.z, 1.0, 24.0);
      shade = colour;
    }`;
  const FRAGMENT = `
    precision mediump float; varying vec3 shade;
    void main() { gl_FragColor = vec4(shade, 1.0); }`;
  const FILE_BYTES = 15, POINT_BYTES = 16; // x, y, z as floats, red, green, blue; then padding

  function verticesOf(buffer) {
    const start = new TextDecoder("latin1").decode(buffer.slice(0, 1024));
    const end = start.indexOf("end_header\n") + "end_header\n".length;
    const count = Number(/element vertex (\d+)/.exec(start)[1]);
    const packed = new Uint8Array(buffer, end), data = new Uint8Array(count * POINT_BYTES);
    for (let i = 0; i < count; i++) {
      data.set(packed.subarray(i * FILE_BYTES, (i + 1) * FILE_BYTES), i * POINT_BYTES);
    }
    const numbers = new Float32Array(data.buffer), step = Math.max(1, Math.floor(count / 2000));
    let sum = 0, used = 0;
    for (let i = 0; i < count; i += step, used++) sum += 1 / numbers[(i * POINT_BYTES) / 4 + 2];
    return { data, count, pivot: [0, 0, used / sum] }; // where blur and parallax are in balance
  }

  function programOf(gl) {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    return program;
  }

  async function show(canvas) {
    const say = (text) => { canvas.parentElement.querySelector(".fd-cloud-note").textContent = text; };
    const gl = canvas.getContext("webgl");
    if (!gl) return say("This browser shows no 3-D: it has no WebGL.");
    const answer = await fetch(canvas.dataset.src);
    if (!answer.ok) return say("The cloud is no longer kept; estimate the depth again.");
    const { data, count, pivot } = verticesOf(await answer.arrayBuffer());

    const program = programOf(gl);
    gl.useProgram(program);
    gl.enable(gl.DEPTH_TEST);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    const place = (name) => gl.getUniformLocation(program, name);
    for (const [name, kind, offset] of [["position", gl.FLOAT, 0], ["colour", gl.UNSIGNED_BYTE, 12]]) {
      const at = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, 3, kind, kind !== gl.FLOAT, POINT_BYTES, offset);
    }

    let at = { across: -0.1, down: 0.1, distance: 1.3 * pivot[2] };
    let waiting = false;
    const draw = () => {
      waiting = false;
      const width = Math.round(canvas.clientWidth * devicePixelRatio);
      const height = Math.round(canvas.clientHeight * devicePixelRatio);
      if (!width || !height) return; // not seen at the moment
      Object.assign(canvas, { width, height });
      gl.viewport(0, 0, width, height);
      gl.clearColor(0.094, 0.094, 0.094, 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      const [c, s, d, e] = [Math.cos(at.across), Math.sin(at.across), Math.cos(at.down), Math.sin(at.down)];
      gl.uniformMatrix3fv(place("turn"), false, [c, e * s, -d * s, 0, d, e, s, -e * c, d * c]);
      gl.uniform3fv(place("pivot"), pivot);
      gl.uniform1f(place("distance"), at.distance);
      gl.uniform1f(place("spacing"), Number(canvas.dataset.spacing));
      const across = 1 / Number(canvas.dataset.halfWidth);
      gl.uniform2f(place("scale"), across, across * width / height);
      gl.uniform1f(place("pixels"), across * width / 2);
      gl.drawArrays(gl.POINTS, 0, count);
      if (gl.getError() === gl.NO_ERROR) canvas.dataset.drawn = count;
    };
    const redraw = () => { if (!waiting) { waiting = true; requestAnimationFrame(draw); } };

    const turn = (across, down) => {
      at.across -= across;
      at.down = Math.max(-1.5, Math.min(1.5, at.down + down));
      redraw();
    };
    const closer = (factor) => { at.distance *= factor; redraw(); };
    const asTheCamera = () => { at = { across: 0, down: 0, distance: pivot[2] }; redraw(); };

    const keys = {
      ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, -0.1),
      ArrowDown: () => turn(0, 0.1), "+": () => closer(0.9), "-": () => closer(1 / 0.9), Home: asTheCamera,
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    const pointers = new Map();
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const apart = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size === 2) {
        closer(apart / Math.max(spread(), 1));
      } else {
        turn(0.008 * (event.clientX - before.x), 0.008 * (event.clientY - before.y));
      }
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      closer(Math.exp(0.001 * event.deltaY));
    }, { passive: false });
    canvas.addEventListener("dblclick", asTheCamera);
    new ResizeObserver(redraw).observe(canvas);
    redraw();
  }

  new MutationObserver(() => {
    for (const canvas of document.querySelectorAll("canvas.fd-cloud:not([data-seen])")) {
      canvas.dataset.seen = "1";
      show(canvas);
    }
  }).observe(document, { childList: true, subtree: true });
})();

// Linked planes, see linked.py. Drawn anew whenever the page runs; a lasso shows what it caught at once.
const SIDE = 440, EDGE = 16, REACH = 15, DRAG = 5;
const SHAPES = {
  circle: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",
  square: "M-4.4,-4.4h8.8v8.8h-8.8z",
  diamond: "M0,-6l5,6l-5,6l-5,-6z",
  cross: "M-5.4,-1.8h3.6v-3.6h3.6v3.6h3.6v3.6h-3.6v3.6h-3.6v-3.6h-3.6z",
  "triangle-up": "M0,-5.6l5.6,10h-11.2z",
  "triangle-down": "M0,5.6l5.6,-10h-11.2z",
  "triangle-right": "M5.6,0l-10,5.6v-11.2z",
  "triangle-left": "M-5.6,0l10,5.6v-11.2z",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const html = (tag, set, ...children) => {
  const node = Object.assign(document.createElement(tag), set);
  node.append(...children);
  return node;
};
const svg = (tag, set, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(set)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const symbol = (shape, colour, place = [0, 0]) => {
  const node = svg("path", { d: SHAPES[shape], transform: `translate(${place})`, class: "dot" });
  node.style.fill = colour;
  return node;
};
const move = (node, place) => {
  node.style.display = place ? "" : "none";
  if (place) node.setAttribute("transform", `translate(${place})`);
};

/** Places as wide and as high as a plane. */
function fit(places) {
  const scaled = [0, 1].map((axis) => {
    const values = places.map((place) => place[axis]), low = Math.min(...values), high = Math.max(...values);
    return values.map((value) => EDGE + ((value - low) / (high - low || 1)) * (SIDE - 2 * EDGE));
  });
  return places.map((_, i) => [scaled[0][i], SIDE - scaled[1][i]]);
}

/** Whether a place is in a polygon: a ray from it crosses an odd number of edges. */
function inside([x, y], polygon) {
  return polygon.reduce((odd, [bx, by], i) => {
    const [ax, ay] = polygon.at(i - 1);
    return ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax ? !odd : odd;
  }, false);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const { points, planes, symbols, ramp, chosen } = data;
  const root = parentElement.querySelector(".planes");
  const focused = root.getRootNode().activeElement?.dataset?.plane;
  const tip = html("div", { className: "tip", hidden: true, ariaLive: "polite" });
  const drawn = planes.map(draw);
  root.replaceChildren(explain(), html("div", { className: "row" }, ...drawn.map((one) => one.figure)), tip);
  if (focused in drawn) drawn[focused].canvas.focus({ preventScroll: true });

  function explain() {
    const line = (title, ...entries) => html("div", { className: "key" }, html("small", {}, title), ...entries);
    const lines = Object.entries(symbols).map(([title, entries]) => line(title, ...entries.map(meaning)));
    if (ramp) {
      const bar = html("i", {});
      bar.style.background = `linear-gradient(to right, ${ramp.colours})`;
      lines.push(line(ramp.title, html("span", {}, ramp.low, bar, ramp.high)));
    }
    return html("div", { className: "keys" }, ...lines);
  }

  function meaning({ shape, colour, text }) {
    const mark = svg("svg", { viewBox: "-7 -7 14 14", "aria-hidden": true }, symbol(shape, colour));
    return html("span", {}, mark, text);
  }

  function draw(plane, number) {
    const at = fit(plane.places);
    const marks = points.map((point, i) => symbol(point.shape, point.colour, at[i]));
    const ring = svg("circle", { class: "ring", r: 11 }), halo = svg("circle", { class: "halo", r: 9 });
    const lasso = svg("polygon", { class: "lasso" });
    const label = `${plane.words} Arrow keys go from point to point, Enter looks closer.`;
    const canvas = svg("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, tabindex: 0, role: "application" });
    canvas.setAttribute("aria-label", label);
    canvas.dataset.plane = number;
    // What is picked out lies above the rest.
    const order = points.map((_, i) => i).sort((a, b) => points[a].picked - points[b].picked);
    canvas.append(...order.map((i) => marks[i]), halo, ring, lasso);
    const heading = html("figcaption", {}, html("b", {}, plane.title), html("small", {}, plane.subtitle));
    const one = { at, marks, halo, canvas, figure: html("figure", {}, heading, canvas) };
    move(ring, at[points.findIndex((point) => point.id === chosen)]);
    move(halo);
    fade(one, (i) => points[i].picked);

    let path = null, dragged = false, current = -1;
    const where = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(canvas.getScreenCTM().inverse());
      return [x, y];
    };
    const nearest = ([x, y]) => {
      const far = at.map((place) => Math.hypot(place[0] - x, place[1] - y)), least = Math.min(...far);
      return least < REACH ? far.indexOf(least) : -1;
    };
    const see = (i) => look((current = i), one);
    const end = () => {
      path = null;
      dragged = false;
      lasso.removeAttribute("points");
    };
    canvas.onpointerdown = (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      path = [where(event)];
    };
    canvas.onpointermove = (event) => {
      const place = where(event);
      if (!path) return see(nearest(place));
      dragged ||= Math.hypot(place[0] - path[0][0], place[1] - path[0][1]) > DRAG;
      path.push(place);
      if (!dragged) return;
      see(-1);
      lasso.setAttribute("points", path.join(" "));
    };
    canvas.onpointerup = (event) => {
      if (!path) return;
      if (dragged) pick(at, path, event.shiftKey);
      else if (nearest(path[0]) >= 0) setTriggerValue("one", points[nearest(path[0])].id);
      end();
    };
    canvas.onpointercancel = end;
    canvas.onpointerleave = canvas.onblur = () => see(-1);
    canvas.onkeydown = (event) => {
      if (event.key === "Escape") return end(), see(-1);
      if (event.key === "Enter" && current >= 0) return setTriggerValue("one", points[current].id);
      if (!(event.key in ARROWS)) return;
      event.preventDefault();
      const from = current >= 0 ? current : points.findIndex((point) => point.id === chosen);
      see(current < 0 ? Math.max(from, 0) : next(at, from, ARROWS[event.key]));
    };
    return one;
  }

  function fade(one, stays) {
    one.marks.forEach((mark, i) => mark.classList.toggle("faded", !stays(i)));
  }

  /** The point that an arrow key leads to: near, and rather ahead than beside. */
  function next(at, from, [dx, dy]) {
    const cost = at.map(([x, y]) => {
      const ahead = (x - at[from][0]) * dx + (y - at[from][1]) * dy;
      const beside = Math.abs((x - at[from][0]) * dy) + Math.abs((y - at[from][1]) * dx);
      return ahead > 0 ? ahead + 2 * beside : Infinity;
    });
    const least = Math.min(...cost);
    return least < Infinity ? cost.indexOf(least) : from;
  }

  function pick(at, path, more) {
    const caught = at.map((place) => inside(place, path));
    if (!caught.some(Boolean)) return;
    const before = more && points.some((point) => !point.picked);
    drawn.forEach((one) => fade(one, (i) => caught[i] || (before && points[i].picked)));
    setTriggerValue("lasso", [points.filter((_, i) => caught[i]).map((point) => point.id), more]);
  }

  /** Mark a point in every plane, and tell about it beside the one where it was found; -1 for none. */
  function look(i, one) {
    drawn.forEach((other) => move(other.halo, other.at[i]));
    tip.hidden = i < 0;
    one.canvas.style.cursor = i < 0 ? "crosshair" : "pointer";
    if (i < 0) return;
    const [name, ...lines] = points[i].told;
    const told = lines.map((line) => html("div", {}, line));
    tip.replaceChildren(html("img", { src: points[i].image, alt: "" }), html("b", {}, name), ...told);
    const around = root.getBoundingClientRect(), box = one.canvas.getBoundingClientRect();
    const x = box.left - around.left + (one.at[i][0] / SIDE) * box.width;
    const y = box.top - around.top + (one.at[i][1] / SIDE) * box.height;
    const left = x > around.width / 2 ? x - tip.offsetWidth - 16 : x + 16;
    tip.style.left = `${Math.min(Math.max(left, 0), around.width - tip.offsetWidth)}px`;
    tip.style.top = `${Math.max(0, Math.min(y - tip.offsetHeight / 2, around.height - tip.offsetHeight))}px`;
  }
}

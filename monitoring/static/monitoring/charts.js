// Cross-hair and values on the charts. The server wrote every position and text into data-chart; nothing is
// computed here. One set of listeners on the document, so charts that htmx swaps in work at once.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const PADDING = 8;
  const LINE = 15;
  const GAP = 10;
  // Where the reader last pointed: kept over a refresh of the charts. {id, index}
  let held = null;

  const element = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const chartOf = (target) => (target instanceof Element ? target.closest("svg.chart[data-chart]") : null);

  const read = (chart) => {
    const data = JSON.parse(chart.dataset.chart);
    return data.x && data.x.length ? data : null;
  };

  const clear = (chart) => chart.querySelector(".chart__hover")?.remove();

  const nearest = (positions, x) =>
    positions.reduce((best, at, index) => (Math.abs(at - x) < Math.abs(positions[best] - x) ? index : best), 0);

  const show = (chart, index) => {
    clear(chart);
    const data = read(chart);
    if (!data || index < 0 || index >= data.x.length) return;
    const x = data.x[index];
    const { top, bottom, left, right } = chart.dataset;
    const group = element("g", { class: "chart__hover" });
    group.append(element("path", { d: `M${x} ${top}V${bottom}` }));
    for (const series of data.series) {
      const y = series.y[index];
      if (y !== null) group.append(element("circle", { class: `dot dot--${series.role}`, cx: x, cy: y, r: 3.5 }));
    }
    const lines = [data.label[index], ...data.series.map((series) => `${series.label}: ${series.text[index]}`)];
    const box = element("g", {});
    const frame = element("rect", { x: 0, y: 0, rx: 4, height: lines.length * LINE + PADDING });
    box.append(frame);
    lines.forEach((line, row) => box.append(element("text", { x: PADDING, y: (row + 1) * LINE }, line)));
    group.append(box);
    chart.append(group);
    const width = Math.max(...[...box.querySelectorAll("text")].map((text) => text.getComputedTextLength()));
    frame.setAttribute("width", width + 2 * PADDING);
    const full = width + 2 * PADDING;
    const wanted = x + GAP + full > Number(right) ? x - GAP - full : x + GAP;
    box.setAttribute("transform", `translate(${Math.max(Number(left) - 50, wanted)} ${Number(top) + 2})`);
    held = { id: chart.id, index };
  };

  const pointed = (chart, event) => {
    const data = read(chart);
    const matrix = chart.getScreenCTM();
    if (!data || !matrix) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    show(chart, nearest(data.x, at.x));
  };

  const leave = (chart) => {
    clear(chart);
    if (held?.id === chart.id) held = null;
  };

  document.addEventListener("pointermove", (event) => {
    const chart = chartOf(event.target);
    if (chart) pointed(chart, event);
    else if (held && document.activeElement?.id !== held.id) {
      const last = document.getElementById(held.id);
      if (last) leave(last);
    }
  });

  document.addEventListener("focusin", (event) => {
    const chart = chartOf(event.target);
    const data = chart && read(chart);
    if (data && held?.id !== chart.id) show(chart, data.x.length - 1);
  });

  document.addEventListener("focusout", (event) => {
    const chart = chartOf(event.target);
    // A chart that a refresh removed keeps its place: the new one takes over below.
    if (chart && document.contains(chart)) leave(chart);
  });

  document.addEventListener("keydown", (event) => {
    const chart = chartOf(event.target);
    const data = chart && read(chart);
    if (!data) return;
    if (event.key === "Escape") return void leave(chart);
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -data.x.length, End: data.x.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const from = held?.id === chart.id ? held.index : data.x.length - 1;
    show(chart, Math.min(data.x.length - 1, Math.max(0, from + steps[event.key])));
  });

  document.addEventListener("htmx:afterSettle", () => {
    const chart = held && document.getElementById(held.id);
    if (chart && chartOf(chart)) show(chart, held.index);
  });
})();

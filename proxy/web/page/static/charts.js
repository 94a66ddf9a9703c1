// Draws the charts of a route by uPlot, in place of their tables. Without this file the tables stand open.
"use strict";

(() => {
  const HEIGHT = 220;
  const FLAG = 26; // pixels that a flag needs beside the next one
  const language = document.documentElement.lang;
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: "short" });
  const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
  const ORDER = ["", "new", "legacy"];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const sum = (rows) => rows.reduce((total, row) => total + row, 0);

  // The beginnings of all parts, also of those in which nothing happened, in seconds since 1970.
  function parts(data) {
    const first = Date.parse(data.since) / 1000;
    const count = Math.ceil((Date.parse(data.until) / 1000 - first) / data.width);
    return Array.from({ length: count }, (_, place) => first + place * data.width);
  }

  // A row of values, one for each part: those of the entries, else `without`.
  function spread(data, times, entries, value, without, width = data.width) {
    const row = new Array(times.length).fill(without);
    for (const each of entries) {
      const first = Math.round((Date.parse(each.at) / 1000 - times[0]) / data.width);
      const after = first + Math.max(1, Math.round(width / data.width));
      row.fill(value(each), Math.max(first, 0), Math.max(after, 0));
    }
    return row;
  }

  const sidesOf = (entries) =>
    [...new Set(entries.map((each) => each.side))].sort((one, other) => ORDER.indexOf(one) - ORDER.indexOf(other));
  const sideColour = (side) => colour(`--chart-${side || "refused"}`);

  // Each maker returns the series of a chart: rows of values, and how uPlot shows them.
  const MAKERS = {
    traffic(data, times, words) {
      const kinds = new Map();
      for (const each of data.points) {
        if (each.count) kinds.set(`${each.mode}|${each.side}`, [...(kinds.get(`${each.mode}|${each.side}`) ?? []), each]);
      }
      const names = [...kinds.keys()].sort();
      const rows = names.map((name) =>
        spread(data, times, kinds.get(name), (each) => (each.count * 60) / data.width, 0));
      // Each area reaches from the axis to the sum of itself and those below: the highest is drawn first.
      const heights = rows.map((_, upTo) => times.map((_, place) => sum(rows.slice(0, upTo + 1).map((row) => row[place]))));
      const shown = names.map((name, place) => {
        const [mode, side] = name.split("|");
        const label = mode ? (side ? `${mode}: ${words[side]}` : mode) : words[""];
        const fill = colour(`--chart-${mode || "refused"}-${side || "none"}`) || sideColour(side);
        return {
          label, fill, stroke: sideColour(side), width: 1, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false },
          value: (_, __, ___, at) => (at === null ? "–" : number.format(rows[place][at])),
        };
      });
      return { rows: heights.reverse(), series: shown.reverse(), unit: words.traffic };
    },

    latency(data, times, words) {
      const rows = [], series = [];
      for (const side of sidesOf(data.sides)) {
        if (!side) continue; // a refusal needs no time
        const own = data.sides.filter((each) => each.side === side);
        for (const share of ["p95", "p50"]) {
          rows.push(spread(data, times, own, (each) => each[`${share}_ms`], null));
          series.push(line(`${words[side]}, ${words[share]}`, sideColour(side), share === "p50" ? [4, 4] : undefined));
        }
      }
      return { rows, series, unit: words.latency };
    },

    errors(data, times, words) {
      const rows = [], series = [];
      for (const side of sidesOf(data.sides)) {
        const own = data.sides.filter((each) => each.side === side);
        rows.push(spread(data, times, own, (each) => (100 * each.errors) / each.count, null));
        series.push(line(words[side], sideColour(side), side === "new" ? undefined : [4, 4]));
      }
      return { rows, series, unit: words.errors };
    },

    differences(data, times, words) {
      const found = data.differences;
      if (!found.length) return null;
      const allowed = times.map(() => 100 * data.allowed);
      return {
        rows: [
          spread(data, times, found, (each) => 100 * each.bound, null, data.differences_width),
          spread(data, times, found, (each) => 100 * each.rate, null, data.differences_width),
          allowed,
        ],
        series: [
          { ...line(words.bound, colour("--chart-bound"), [4, 4]), paths: uPlot.paths.stepped({ align: 1 }) },
          { ...line(words.rate, colour("--chart-new")), paths: uPlot.paths.stepped({ align: 1 }) },
          line(words.allowed, colour("--bad"), [10, 5]),
        ],
        unit: words.differences,
      };
    },
  };

  // A value between two gaps is a point: a line has no length there.
  function alone(plot, series) {
    const row = plot.data[series];
    return row.flatMap((value, place) => (value !== null && row[place - 1] == null && row[place + 1] == null ? [place] : []));
  }

  function line(label, stroke, dash) {
    return {
      label, stroke, dash, width: 2, spanGaps: false, points: { show: true, size: 5, stroke, fill: stroke, filter: alone },
      value: (_, value) => (value === null || value === undefined ? "–" : number.format(value)),
    };
  }

  // Marks each change by a line, with a flag above it that says who made it and why.
  function changes(data, words, focusable) {
    const marks = data.changes.map((each) => ({
      at: Date.parse(each.at) / 1000,
      revision: each.revision,
      text: `${each.revision}: ${each.mode ?? "–"}${each.percent === null ? "" : ` ${number.format(each.percent)} %`}, `
        + `${each.organization ?? (each.scope === "*" ? words.everyone : each.scope.slice(0, 12))}, ${each.actor}: ${each.reason}`,
    }));
    const strip = document.createElement("div");
    strip.className = "flags";

    function place(plot) {
      const shown = [];
      for (const mark of marks) {
        const left = plot.valToPos(mark.at, "x");
        if (left < 0 || left > plot.over.clientWidth) continue;
        const last = shown.at(-1);
        if (last && left - last.left < FLAG) last.marks.push(mark);
        else shown.push({ left, marks: [mark] });
      }
      strip.replaceChildren(...shown.map(({ left, marks: own }) => flag(plot.over.offsetLeft + left, own, plot.width)));
    }

    function flag(left, own, width) {
      const newest = own.at(-1);
      const made = document.createElement(focusable ? "a" : "span");
      if (focusable) made.href = `#change-${newest.revision}`;
      else made.setAttribute("aria-hidden", "true");
      made.className = "flag";
      made.style.left = `${left}px`;
      made.textContent = own.length > 1 ? own.length : "▾";
      const note = document.createElement("span");
      note.className = left > width / 2 ? "flag-note is-left" : "flag-note";
      note.textContent = own.slice(-5).map((each) => each.text).join("\n");
      made.append(note);
      return made;
    }

    return {
      hooks: {
        // Beside the picture, not in it: to assistive technology a picture has no parts.
        ready: [(plot) => { plot.root.parentElement.before(strip); place(plot); }],
        destroy: [() => strip.remove()],
        setSize: [place],
        setScale: [place],
        draw: [(plot) => {
          const { ctx, bbox } = plot;
          ctx.save();
          ctx.strokeStyle = colour("--ink");
          ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
          ctx.lineWidth = devicePixelRatio;
          for (const mark of marks) {
            const x = Math.round(plot.valToPos(mark.at, "x", true));
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        }],
      },
    };
  }

  function options(data, made, words, width, focusable) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const long = data.width * 1000 >= 3600 * 1000;
    return {
      width, height: HEIGHT,
      plugins: [changes(data, words, focusable)],
      cursor: { sync: { key: "charts" }, drag: { x: false, y: false } },
      legend: { live: true, markers: { dash: (plot, series) => (plot.series[series].dash ? "dashed" : "solid") } },
      // Up to now: the newest changes lie after the beginning of the last part.
      scales: { x: { time: true, range: (_, first) => [first, Date.parse(data.until) / 1000] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
      axes: [
        { ...axis, values: (_, splits) => splits.map((each) => (long ? day : clock).format(each * 1000)), space: long ? 60 : 70 },
        { ...axis, label: made.unit, labelSize: 22, size: 56, values: (_, splits) => splits.map((each) => number.format(each)) },
      ],
      series: [
        { label: words.time, value: (_, value) => (value === null || value === undefined ? "–" : moment.format(value * 1000)) },
        ...made.series,
      ],
    };
  }

  class Charts {
    constructor(section) {
      this.section = section;
      this.words = JSON.parse(section.dataset.words);
      this.plots = new Map();
      this.data = null;
      this.resized = new ResizeObserver((entries) => {
        for (const { target, contentRect } of entries) {
          const width = Math.floor(contentRect.width);
          if (width > 0) this.plots.get(target)?.setSize({ width, height: HEIGHT });
        }
      });
    }

    async load() {
      if (!this.section.isConnected) return;
      const paused = document.getElementById("pause")?.getAttribute("aria-pressed") === "true";
      if (this.data === null || (!document.hidden && !paused)) {
        try {
          const answer = await fetch(this.section.dataset.series, { headers: { Accept: "application/json" } });
          if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
          this.data = await answer.json();
          this.draw();
        } catch {
          if (this.data === null) return; // the tables stay
        }
      }
      setTimeout(() => this.load(), 1000 * Math.min(Math.max(this.data.width, 15), 300));
    }

    draw() {
      const times = parts(this.data);
      let focusable = true;
      for (const figure of this.section.querySelectorAll(".chart")) {
        const target = figure.querySelector(".plot");
        const made = MAKERS[figure.dataset.chart](this.data, times, this.words);
        if (made === null || !made.rows.length) continue;
        if (target.hidden) {
          target.hidden = false;
          figure.querySelector("details").open = false;
          this.resized.observe(target);
        }
        this.plots.get(target)?.destroy();
        const plot = new uPlot(
          options(this.data, made, this.words, Math.floor(target.clientWidth), focusable), [times, ...made.rows], target);
        this.plots.set(target, plot);
        focusable = false;
      }
    }
  }

  const all = [];

  function begin(root) {
    for (const section of root.querySelectorAll(".charts[data-series]")) {
      if (section.dataset.begun) continue;
      section.dataset.begun = "yes";
      const charts = new Charts(section);
      all.push(charts);
      charts.load();
    }
  }

  begin(document);
  document.addEventListener("htmx:load", (event) => begin(event.detail.elt));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const charts of all) if (charts.data) charts.draw();
  });
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll(".chart details")) each.open = true;
  });
})();

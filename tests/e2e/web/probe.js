/* What the test asks of a page, evaluated in it: an object with functions. */
(() => {
  const isShown = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;

  /* "rgb(1 2 3 / 50%)" as [r, g, b, a]. */
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function color(text) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  }
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  function luminance(rgb) {
    const [r, g, b] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  /* What is behind an element: the grounds of it and of all it lies in, the outermost first. */
  function ground(node) {
    const grounds = [];
    for (let at = node; at; at = at.parentElement) {
      const own = color(getComputedStyle(at).backgroundColor);
      if (own[3] > 0) grounds.unshift(own);
      if (own[3] === 1) break;
    }
    return grounds.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  }
  function contrast(node, style) {
    const behind = ground(node);
    const [light, dark] = [luminance(over(color(style.color), behind)), luminance(behind)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  }

  return {
    isShown,
    text: (selector) => document.querySelector(selector)?.textContent ?? null,

    /* The cells of a tenant's row by their columns; null: there is no such row. */
    row(name) {
      const open = [...document.querySelectorAll("#tenant-rows .name")].find((button) => button.textContent === name);
      if (!open) return null;
      const cells = [...open.closest("tr").children];
      return Object.fromEntries(
        cells.map((cell) => [cell.className.split(" ")[0].replace("cell-", ""), cell.textContent]),
      );
    },
    names: () => [...document.querySelectorAll("#tenant-rows .name")].map((button) => button.textContent),

    /* The texts with too little contrast (4.5), and how many were looked at. */
    contrasts(root) {
      const bad = [];
      let count = 0;
      let least = Infinity;
      const walker = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !isShown(node)) continue;
        const ratio = contrast(node, getComputedStyle(node));
        count++;
        least = Math.min(least, ratio);
        if (ratio < 4.5) bad.push(`${walker.currentNode.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
      }
      for (const field of document.querySelectorAll(`${root} input`)) {
        if (!isShown(field)) continue;
        const ratio = contrast(field, getComputedStyle(field, "::placeholder"));
        count++;
        if (ratio < 4.5) bad.push(`placeholder of ${field.id}: ${ratio.toFixed(2)}`);
      }
      return { count, least, bad };
    },

    /* What Tab has to come to: all that can be pressed or written in, a table's row by its one stop. */
    stops() {
      const all = [...document.querySelectorAll("button, input, select, a[href], [tabindex='0']")];
      const wanted = all.filter((node) => node.tabIndex >= 0 && !node.disabled && isShown(node) && !node.closest("dialog"));
      wanted.forEach((node, i) => (node.dataset.probe = i));
      return wanted.length;
    },
    /* The stop that has the focus, and whether one sees that: [number or null, seen, what it is]. */
    focused() {
      const node = document.activeElement;
      const style = getComputedStyle(node);
      const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      return [node.dataset.probe ?? null, seen, `${node.tagName} ${node.id} ${node.className} ${node.textContent.slice(0, 20)}`];
    },
    overflow: () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    /* What sticks out of the page at its right side, for whoever has to mend it. */
    wide: () =>
      [...document.querySelectorAll("body *")]
        .filter((node) => isShown(node) && node.getBoundingClientRect().right > innerWidth + 0.5)
        .map((node) => `${node.tagName}.${node.className}`)
        .slice(0, 8),
  };
})();

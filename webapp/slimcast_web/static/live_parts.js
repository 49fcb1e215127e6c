// The elements that walls and tiles are made of. Words become text, never HTML.

// Outlines in a square of 24 by 24.
const ICONS = {
  pause: "M8 5v14M16 5v14",
  play: "M8 5l11 7-11 7z",
  camera: "M4 8h4l2-3h4l2 3h4v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
};
const SVG = "http://www.w3.org/2000/svg";

function element(tag, className, parent, text) {
  const node = document.createElement(tag);
  node.className = className;
  if (text) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function link(className, parent, address, text) {
  const node = element("a", className, parent, text);
  node.href = address;
  // The page must not be left: the wall would go with it.
  if (address.endsWith("?download=1")) node.download = "";
  else node.target = "_blank";
  node.rel = "noopener";
  return node;
}

function button(name, icon, parent, press) {
  const node = element("button", "tool", parent);
  node.type = "button";
  node.addEventListener("click", press);
  node.addEventListener("dblclick", (event) => event.stopPropagation());
  face(node, name, icon);
  return node;
}

function face(node, name, icon) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  drawing.appendChild(document.createElementNS(SVG, "path")).setAttribute("d", ICONS[icon]);
  node.replaceChildren(drawing);
  node.title = name;
  node.setAttribute("aria-label", name);
}

import { afterEach, describe, expect, it } from "vitest";

import { jupyterAddress } from "../src/jupyterPage.ts";

function pageWith(settings: string): void {
  const element = document.createElement("script");
  element.id = "jupyter-config-data";
  element.type = "application/json";
  element.textContent = settings;
  document.head.append(element);
}

afterEach(() => {
  document.head.replaceChildren();
});

describe("the address of the Jupyter server", () => {
  it("is where the page is, with the base URL of the page's settings, and nothing else of it", () => {
    pageWith(JSON.stringify({ baseUrl: "/user/ada/", token: "secret" }));
    expect(jupyterAddress()).toBe(`${window.location.origin}/user/ada/`);
  });

  it("is the base URL itself where that names a host", () => {
    pageWith(JSON.stringify({ baseUrl: "https://hub.example.org/user/ada/" }));
    expect(jupyterAddress()).toBe("https://hub.example.org/user/ada/");
  });

  it.each(["", "nonsense", "null", "{}", "3", '{"baseUrl": "http://["}'])("is unknown with the settings %j", (settings) => {
    pageWith(settings);
    expect(jupyterAddress()).toBe("");
  });

  it("is unknown in a page without settings", () => {
    expect(jupyterAddress()).toBe("");
  });
});

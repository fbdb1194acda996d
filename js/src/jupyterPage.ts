/**
 * The address of the Jupyter server that shows this page, as others see it, too; "" in other hosts. Behind a proxy only
 * the browser knows it for sure. Jupyter's pages carry their settings.
 */
export function jupyterAddress(page: Document = document): string {
  try {
    const settings: unknown = JSON.parse(page.getElementById("jupyter-config-data")?.textContent ?? "null");
    if (typeof settings === "object" && settings !== null && "baseUrl" in settings) {
      return new URL(String(settings.baseUrl), page.baseURI).href;
    }
  } catch {
    // Somebody else's element: there is no such server.
  }
  return "";
}

/** Of the package: that of package.json, which a page cannot read. */
export const version = "0.1.0";

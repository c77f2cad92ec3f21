/** Of this package; a test keeps it equal to its package.json. */
export const version = "0.1.0"

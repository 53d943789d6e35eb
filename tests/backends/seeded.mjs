// Loaded before a program of Node's, this makes its chance the same on every run (mulberry32; SEED in the environment).

let state = Number(process.env.SEED ?? 1);

Math.random = () => {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

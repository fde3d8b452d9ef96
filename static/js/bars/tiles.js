// Reads chart files (workers/charts/tiles.py): only the tiles of the bars that are drawn, by byte ranges.
"use strict";

globalThis.barCharts = {};

(() => {
  const MISSING = -2147483648;
  const MOST_TILES = 160;

  async function unpack(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Int32Array(await new Response(stream).arrayBuffer());
  }

  // The first column is the time in seconds since the start of the tile, modulo 2^32.
  function decode(words, columns, start) {
    const count = words.length / (columns.length + 1);
    const tile = { count, times: new Float64Array(count), columns: {} };
    let sum = 0;
    for (let row = 0; row < count; row += 1) {
      sum = (sum + words[row]) | 0;
      tile.times[row] = start + (sum >>> 0);
    }
    columns.forEach(({ name, scale }, number) => {
      const values = new Float64Array(count);
      sum = 0;
      for (let row = 0, at = (number + 1) * count; row < count; row += 1, at += 1) {
        sum = (sum + words[at]) | 0;
        values[row] = sum === MISSING ? NaN : sum / scale;
      }
      tile.columns[name] = values;
    });
    return tile;
  }

  // The number of values that are not above `limit`, minus one.
  function lastNotAbove(values, limit) {
    let low = 0;
    let high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= limit) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  class ChartFile {
    constructor(index) {
      this.index = index;
      let offset = index.start;
      this.levels = index.levels.map((level) => {
        const offsets = level.sizes.map((size) => {
          offset += size;
          return offset - size;
        });
        return { ...level, offsets, end: offset };
      });
      this.tiles = new Map(); // "level/tile" -> promise, in the order of their last use
    }

    // The bars `from` to `to` (exclusive), with all columns: {start, count, times, columns}.
    async rows(level, from, to) {
      const size = this.index.tile_rows;
      const first = Math.floor(from / size);
      const last = Math.max(first, Math.ceil(to / size) - 1);
      this.request(level, first, last);
      const tiles = [];
      for (let tile = first; tile <= last; tile += 1) tiles.push(this.tiles.get(`${level}/${tile}`));
      return this.join(await Promise.all(tiles), first * size, from, to);
    }

    // The rows `from` to `to` of tiles that start with the row `start`.
    join(tiles, start, from, to) {
      const all = tiles.reduce((sum, tile) => sum + tile.count, 0);
      const count = Math.min(to - start, all) - (from - start);
      const merge = (pick) => {
        const merged = new Float64Array(all);
        let at = 0;
        for (const tile of tiles) {
          merged.set(pick(tile), at);
          at += tile.count;
        }
        return merged.subarray(from - start, from - start + count);
      };
      const names = Object.keys(tiles[0].columns);
      return {
        start: from, count, times: merge((tile) => tile.times),
        columns: Object.fromEntries(names.map((name) => [name, merge((tile) => tile.columns[name])])),
      };
    }

    // Request the tiles with these rows, as far as the level has them, and do not wait for them.
    prefetch(level, from, to, options) {
      const { sizes } = this.levels[level];
      const tileOf = (row) => Math.min(Math.max(Math.floor(row / this.index.tile_rows), 0), sizes.length - 1);
      this.request(level, tileOf(from), tileOf(to), options);
    }

    // Neighbouring tiles come with one request.
    request(level, first, last, options = {}) {
      for (let tile = first; tile <= last; tile += 1) {
        const key = `${level}/${tile}`;
        const known = this.tiles.get(key);
        if (known) {
          this.tiles.delete(key);
          this.tiles.set(key, known);
          continue;
        }
        let end = tile;
        while (end < last && !this.tiles.has(`${level}/${end + 1}`)) end += 1;
        this.fetch(level, tile, end, options);
        tile = end;
      }
      for (const key of this.tiles.keys()) {
        if (this.tiles.size <= MOST_TILES) break;
        this.tiles.delete(key);
      }
    }

    fetch(level, first, last, options) {
      const { offsets, sizes, starts } = this.levels[level];
      const end = offsets[last] + sizes[last];
      const bytes = fetch(this.index.url, { ...options, headers: { Range: `bytes=${offsets[first]}-${end - 1}` } }).then((response) => {
        if (response.status !== 206) throw new Error(`the server answered ${response.status}`);
        return response.arrayBuffer();
      });
      for (let tile = first; tile <= last; tile += 1) {
        const from = offsets[tile] - offsets[first];
        const key = `${level}/${tile}`;
        const decoded = bytes
          .then((buffer) => unpack(buffer.slice(from, from + sizes[tile])))
          .then((words) => decode(words, this.index.columns, starts[tile]));
        decoded.catch(() => this.tiles.delete(key)); // requested again next time
        this.tiles.set(key, decoded);
      }
    }

    tileAt(level, time) { return Math.max(lastNotAbove(this.levels[level].starts, time), 0); }

    // Estimate the row of `time` without loading its tile, as if the bars of the tile were evenly spaced.
    rowNear(level, time) {
      const { starts, rows } = this.levels[level];
      const tile = this.tileAt(level, time);
      const size = this.index.tile_rows;
      if (tile === starts.length - 1) return (tile * size + rows) / 2;
      const share = (time - starts[tile]) / (starts[tile + 1] - starts[tile]);
      return (tile + Math.max(share, 0)) * size;
    }

    // The row of the last bar that opens at or before `time` (seconds); 0 before the first bar.
    async rowAt(level, time) {
      const tile = this.tileAt(level, time);
      this.request(level, tile, tile);
      const { times } = await this.tiles.get(`${level}/${tile}`);
      return tile * this.index.tile_rows + Math.max(lastNotAbove(times, time), 0);
    }
  }

  Object.assign(barCharts, { ChartFile, lastNotAbove });
})();

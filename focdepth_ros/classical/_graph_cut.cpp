// Multi-label graph cut on an image grid. Plain C interface, loaded with ctypes by graph_cut.py.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "_coarse_to_fine.h"
#include "_expansion.h"

namespace {

using focdepth::Terms;

enum Result : std::int32_t { kDone = 0, kOutOfMemory = 1, kNotFinite = 2 };

std::vector<int> whole_weights(const float* weights, int height, int width, int truncation,
                               bool right) {
  const float most = static_cast<float>(focdepth::kMaxPair / truncation);
  std::vector<int> whole(static_cast<std::size_t>(width) * (height + 1));
  for (int y = 0; y < (right ? height : height - 1); ++y) {
    for (int x = 0; x < (right ? width - 1 : width); ++x) {
      const float scaled = std::min(weights[y * width + x] * focdepth::kCostScale, most);
      whole[(y + 1) * width + x] = static_cast<int>(scaled + 0.5f);
    }
  }
  return whole;
}

// Energy of the costs as they were given.
double energy_of(const Terms& terms, const float* weight_right, const float* weight_down,
                 const std::uint8_t* labels) {
  double energy = 0.0;
  for (int y = 0; y < terms.height; ++y) {
    for (int x = 0; x < terms.width; ++x) {
      const int p = y * terms.width + x;
      energy += terms.unary[static_cast<std::size_t>(labels[p]) * terms.pixels() + p];
      if (x + 1 < terms.width) {
        energy += static_cast<double>(weight_right[p]) * terms.distance(labels[p], labels[p + 1]);
      }
      if (y + 1 < terms.height) {
        energy += static_cast<double>(weight_down[p]) *
                  terms.distance(labels[p], labels[p + terms.width]);
      }
    }
  }
  return energy;
}

}  // namespace

extern "C" {

// unary: (count, height, width); weight_right, weight_down: (height, width), finite and >= 0.
// Fills labels (height, width) and energy. max_cycles > 0: lowers the energy of the labels given
// by expansion moves of all pixels, until a whole cycle changes nothing or max_cycles have been
// done. max_cycles 0: from coarse to fine, whatever the labels were.
std::int32_t focdepth_graph_cut(const float* unary, const float* weight_right,
                                const float* weight_down, std::int32_t height, std::int32_t width,
                                std::int32_t count, std::int32_t truncation,
                                std::int32_t max_cycles, std::uint8_t* labels,
                                double* energy) try {
  Terms terms{height, width, count, truncation, unary, {}, {}, {}, {}};
  if (!focdepth::find_best(terms)) return kNotFinite;
  terms.right = whole_weights(weight_right, height, width, truncation, true);
  terms.down = whole_weights(weight_down, height, width, truncation, false);
  std::vector<std::uint8_t> found;
  if (max_cycles > 0) {
    focdepth::Expansion expansion(terms, {labels, labels + terms.pixels()});
    focdepth::expand_everywhere(terms, max_cycles, expansion);
    found = expansion.labels();
  } else {
    found = focdepth::coarse_to_fine(terms, focdepth::finest_reach(terms));
  }
  std::copy(found.begin(), found.end(), labels);
  *energy = energy_of(terms, weight_right, weight_down, labels);
  return kDone;
} catch (const std::bad_alloc&) {
  return kOutOfMemory;
}

}  // extern "C"

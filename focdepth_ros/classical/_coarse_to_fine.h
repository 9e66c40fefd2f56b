// Low energy in little time: the cut on a coarse grid, then on finer ones only where it matters.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "_expansion.h"

namespace focdepth {

constexpr int kCoarsestSide = 80;    // px: a grid this small is cut as a whole
constexpr int kCoarsestCycles = 4;
constexpr int kDoubtful = 10;  // a label may be wrong from a 10th of what its pairs can cost on

// What the moves of the coarser grids reach more than those of the finest, in pixels: what a
// coarse grid gets wrong is a large part of a surface, and cheap to look at.
constexpr int kCoarseReach[] = {0, 6, 10};
constexpr int kLastReach = 2;

// How far from the borders of the surfaces the moves of the finest grid reach, in pixels. Where a
// step between neighbours costs much against what a pixel loses by being one label off, borders
// found on a coarse grid are further from where they belong.
inline int finest_reach(const Terms& terms) {
  constexpr int kSamples = 2000;
  const int spacing = std::max(terms.pixels() / kSamples, 1);
  double weight = 0.0, cost = 0.0;
  for (int p = 0; p < terms.pixels(); p += spacing) {
    weight += terms.weight(p) / 4.0;
    for (int label = 0; label < terms.labels; ++label) cost += terms.cost(label, p);
  }
  const double cost_of_a_label = cost / terms.labels / terms.labels;
  return 3 + static_cast<int>(std::min(0.6 * weight / std::max(cost_of_a_label, 1.0), 13.0));
}

// The sums of the weights that cross the borders between blocks of 2 x 2 pixels.
inline void halve_weights(const Terms& fine, Terms& coarse) {
  coarse.right.assign(coarse.width + coarse.pixels(), 0);
  coarse.down.assign(coarse.width + coarse.pixels(), 0);
  const int most = kMaxPair / coarse.truncation;
  for (int y = 0; y < fine.height; ++y) {
    int* right = &coarse.right[(y / 2 + 1) * coarse.width];
    for (int x = 1; x < fine.width; x += 2) {
      right[x / 2] = std::min(right[x / 2] + fine.weight_right(y * fine.width + x), most);
    }
    if (y % 2 == 0) continue;
    int* down = &coarse.down[(y / 2 + 1) * coarse.width];
    for (int x = 0; x < fine.width; ++x) {
      down[x / 2] = std::min(down[x / 2] + fine.weight_down(y * fine.width + x), most);
    }
  }
}

// The sums of the unary costs over blocks of 2 x 2 pixels, each above the least of its pixel.
inline std::vector<float> halved_unary(const Terms& fine, const Terms& coarse) {
  constexpr float most = kMaxUnary / kCostScale;
  std::vector<float> unary(static_cast<std::size_t>(coarse.labels) * coarse.pixels());
  const int width = fine.width;
  for (int y = 0; y < coarse.height; ++y) {
    // Where the height is odd, the last row stands in for a next one, and is not counted twice.
    const std::size_t above = static_cast<std::size_t>(2 * y) * width;
    const bool two_rows = 2 * y + 1 < fine.height;
    const float* least = &fine.least[above];
    const float* least_below = two_rows ? least + width : least;
    const float share = two_rows ? 1.0f : 0.5f;
    for (int label = 0; label < fine.labels; ++label) {
      const float* from = fine.unary + static_cast<std::size_t>(label) * fine.pixels() + above;
      const float* below = two_rows ? from + width : from;
      float* to = &unary[static_cast<std::size_t>(label) * coarse.pixels() + y * coarse.width];
      const auto column = [=](int x) {
        return std::min(from[x] - least[x], most) + std::min(below[x] - least_below[x], most);
      };
      for (int x = 0; x < width / 2; ++x) to[x] = share * (column(2 * x) + column(2 * x + 1));
      if (width % 2 == 1) to[width / 2] = share * column(width - 1);
    }
  }
  return unary;
}

// One expansion move per label of the pixels around the borders of the surfaces, and of those
// that would rather have another label.
class Refinement {
 public:
  Refinement(const Terms& terms, Expansion& expansion)
      : terms_(terms),
        expansion_(expansion),
        listed_(terms.pixels() + 2 * terms.width),
        borders_(terms.labels),
        doubtful_(terms.labels) {}

  void run(int reach) {
    for (int p = 0; p < terms_.pixels(); ++p) add_start(p);
    for (int alpha = 0; alpha < terms_.labels; ++alpha) {
      gather(alpha, reach);
      expansion_.expand(alpha, members_);
    }
  }

 private:
  // Lists a pixel at the border of a surface by its label, a doubtful one by the label that it
  // would rather have.
  void add_start(int p) {
    const int label = expansion_.label(p), best = terms_.best[p], width = terms_.width;
    const auto differs = [&](int q, int weight) {
      return weight != 0 && expansion_.label(q) != label;
    };
    if (differs(p + 1, terms_.weight_right(p)) || differs(p - 1, terms_.weight_left(p)) ||
        differs(p + width, terms_.weight_down(p)) || differs(p - width, terms_.weight_up(p))) {
      borders_[label].push_back(p);
    }
    const int most = terms_.weight(p) * terms_.distance(label, best);
    if (expansion_.cost(p) > most / kDoubtful) doubtful_[best].push_back(p);
  }

  // Lists in `members_` what may take `alpha`: doubtful pixels, and from them and the surfaces
  // that have it, what is at most `reach` steps away.
  void gather(int alpha, int reach) {
    members_.clear();
    for (int p : doubtful_[alpha]) add_member(p, alpha);
    for (int p : borders_[alpha]) {
      if (expansion_.label(p) == alpha) add_neighbours(p, alpha);
    }
    std::size_t next = 0;
    for (int step = 1; step < reach; ++step) {
      for (const std::size_t end = members_.size(); next < end; ++next) {
        add_neighbours(members_[next], alpha);
      }
    }
    for (int p : members_) listed_[terms_.width + p] = 0;
  }

  void add_neighbours(int p, int alpha) {
    if (terms_.weight_up(p) != 0) add_member(p - terms_.width, alpha);
    if (terms_.weight_left(p) != 0) add_member(p - 1, alpha);
    if (terms_.weight_right(p) != 0) add_member(p + 1, alpha);
    if (terms_.weight_down(p) != 0) add_member(p + terms_.width, alpha);
  }

  void add_member(int p, int alpha) {
    std::uint8_t& listed = listed_[terms_.width + p];
    if (listed || !expansion_.may_take(p, alpha)) return;
    listed = 1;
    members_.push_back(p);
  }

  const Terms& terms_;
  Expansion& expansion_;
  std::vector<std::uint8_t> listed_;  // whether in members_, with a row more on either side
  std::vector<int> members_;
  std::vector<std::vector<int>> borders_, doubtful_;  // by label
};

inline std::vector<std::uint8_t> coarse_to_fine(const Terms& terms, int reach, int level = 0) {
  if (std::max(terms.height, terms.width) <= kCoarsestSide) {
    Expansion expansion(terms, terms.best);
    expand_everywhere(terms, kCoarsestCycles, expansion);
    return expansion.labels();
  }
  std::vector<std::uint8_t> start(terms.pixels());
  {
    // The energy of labels that are the same all over blocks of 2 x 2 pixels.
    Terms coarse{};
    coarse.height = (terms.height + 1) / 2;
    coarse.width = (terms.width + 1) / 2;
    coarse.labels = terms.labels;
    coarse.truncation = terms.truncation;
    const std::vector<float> unary = halved_unary(terms, coarse);
    coarse.unary = unary.data();
    find_best(coarse);
    halve_weights(terms, coarse);
    const std::vector<std::uint8_t> found = coarse_to_fine(coarse, reach, level + 1);
    for (int y = 0; y < terms.height; ++y) {
      for (int x = 0; x < terms.width; ++x) {
        start[y * terms.width + x] = found[y / 2 * coarse.width + x / 2];
      }
    }
  }
  Expansion expansion(terms, start);
  Refinement(terms, expansion).run(reach + kCoarseReach[std::min(level, kLastReach)]);
  return expansion.labels();
}

}  // namespace focdepth

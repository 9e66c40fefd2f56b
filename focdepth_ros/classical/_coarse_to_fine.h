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
constexpr int kBlockSide = 8;        // px: what changed is known by blocks
constexpr int kDoubtful = 10;  // a label may be wrong from a 10th of what its pairs can cost on

// How far from the borders of the surfaces the moves of a level reach, in pixels, and how often
// every label is tried.
struct Effort {
  int reach, cycles;
};
constexpr Effort kFinest = {4, 1};
constexpr Effort kCoarser = {8, 2};

// Energy of labels that are the same all over blocks of 2 x 2 pixels. `unary` is where the sums
// of the unary costs are kept.
inline Terms halved(const Terms& fine, std::vector<float>& unary) {
  Terms coarse{};
  coarse.height = (fine.height + 1) / 2;
  coarse.width = (fine.width + 1) / 2;
  coarse.labels = fine.labels;
  coarse.truncation = fine.truncation;
  unary.assign(static_cast<std::size_t>(coarse.labels) * coarse.pixels(), 0.0f);
  coarse.unary = unary.data();
  constexpr float most_unary = kMaxUnary / kCostScale;
  for (int label = 0; label < fine.labels; ++label) {
    for (int y = 0; y < fine.height; ++y) {
      const float* from = fine.unary + (static_cast<std::size_t>(label) * fine.height + y) *
                                           fine.width;
      float* to = &unary[(static_cast<std::size_t>(label) * coarse.height + y / 2) * coarse.width];
      const float* least = &fine.least[static_cast<std::size_t>(y) * fine.width];
      const auto cost = [=](int x) { return std::min(from[x] - least[x], most_unary); };
      for (int x = 0; x + 1 < fine.width; x += 2) to[x / 2] += cost(x) + cost(x + 1);
      if (fine.width % 2 == 1) to[fine.width / 2] += cost(fine.width - 1);
    }
  }
  find_best(coarse);
  coarse.right.assign(coarse.width + coarse.pixels(), 0);
  coarse.down.assign(coarse.width + coarse.pixels(), 0);
  const int most = kMaxPair / coarse.truncation;
  for (int y = 0; y < fine.height; ++y) {
    for (int x = 0; x < fine.width; ++x) {
      const int p = y * fine.width + x;
      const int to = coarse.width + y / 2 * coarse.width + x / 2;
      if (x % 2 == 1) coarse.right[to] = std::min(coarse.right[to] + fine.weight_right(p), most);
      if (y % 2 == 1) coarse.down[to] = std::min(coarse.down[to] + fine.weight_down(p), most);
    }
  }
  return coarse;
}

// Expansion moves of the pixels around the borders of the surfaces, and of those that would
// rather have another label.
class Refinement {
 public:
  Refinement(const Terms& terms, Expansion& expansion)
      : terms_(terms),
        expansion_(expansion),
        block_rows_((terms.height + kBlockSide - 1) / kBlockSide),
        block_columns_((terms.width + kBlockSide - 1) / kBlockSide),
        changed_(block_rows_ * block_columns_, 1),
        listed_(terms.pixels() + 2 * terms.width),
        borders_(terms.labels),
        doubtful_(terms.labels) {}

  void run(Effort effort) {
    for (int cycle = 0; cycle < effort.cycles; ++cycle) {
      find_starts();
      std::fill(changed_.begin(), changed_.end(), 0);
      for (int alpha = 0; alpha < terms_.labels; ++alpha) {
        gather(alpha, effort.reach);
        expansion_.expand(alpha, members_);
        for (int p : members_) changed_[block_of(p / terms_.width, p % terms_.width)] = 1;
      }
    }
  }

 private:
  int block_of(int y, int x) const { return y / kBlockSide * block_columns_ + x / kBlockSide; }

  // Whether anything changed in the block or beside it since all labels were tried there.
  bool worth_a_look(int block_row, int block_column) const {
    for (int y = std::max(block_row - 1, 0); y < std::min(block_row + 2, block_rows_); ++y) {
      for (int x = std::max(block_column - 1, 0); x < std::min(block_column + 2, block_columns_);
           ++x) {
        if (changed_[y * block_columns_ + x]) return true;
      }
    }
    return false;
  }

  // Lists the pixels at the borders of surfaces by their label, and the doubtful ones by the
  // label they would rather have.
  void find_starts() {
    for (std::vector<int>& list : borders_) list.clear();
    for (std::vector<int>& list : doubtful_) list.clear();
    for (int row = 0; row < block_rows_; ++row) {
      for (int column = 0; column < block_columns_; ++column) {
        if (!worth_a_look(row, column)) continue;
        const int bottom = std::min((row + 1) * kBlockSide, terms_.height);
        const int end = std::min((column + 1) * kBlockSide, terms_.width);
        for (int y = row * kBlockSide; y < bottom; ++y) {
          for (int x = column * kBlockSide; x < end; ++x) add_start(y * terms_.width + x);
        }
      }
    }
  }

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
  int block_rows_, block_columns_;
  std::vector<std::uint8_t> changed_;  // of each block
  std::vector<std::uint8_t> listed_;   // whether in members_
  std::vector<int> members_;
  std::vector<std::vector<int>> borders_, doubtful_;  // by label
};

inline std::vector<std::uint8_t> coarse_to_fine(const Terms& terms, Effort effort) {
  if (std::max(terms.height, terms.width) <= kCoarsestSide) {
    Expansion expansion(terms, terms.best);
    expand_everywhere(terms, kCoarsestCycles, expansion);
    return expansion.labels();
  }
  std::vector<std::uint8_t> start(terms.pixels());
  {
    std::vector<float> unary;
    const Terms coarse = halved(terms, unary);
    const std::vector<std::uint8_t> found = coarse_to_fine(coarse, kCoarser);
    for (int y = 0; y < terms.height; ++y) {
      for (int x = 0; x < terms.width; ++x) {
        start[y * terms.width + x] = found[y / 2 * coarse.width + x / 2];
      }
    }
  }
  Expansion expansion(terms, start);
  Refinement(terms, expansion).run(effort);
  return expansion.labels();
}

}  // namespace focdepth

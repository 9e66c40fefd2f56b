// Expansion moves on a multi-label energy over an image grid, each solved by a max-flow.
//
//   E(l) = sum_p unary[l_p][p] + sum_pq weight_pq * min(|l_p - l_q|, truncation)
//
// Boykov, Veksler, Zabih, "Fast Approximate Energy Minimization via Graph Cuts", PAMI 2001.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "_grid_cut.h"

namespace focdepth {

// Costs are whole numbers inside, so that the max-flow ends exactly. A node adds up several, and
// what it holds stays far below 2^31.
constexpr float kCostScale = 1024.0f;
constexpr float kMaxUnary = 1 << 26;  // above the least of the pixel
constexpr int kMaxPair = 1 << 22;     // weight * truncation

struct Terms {
  int height, width, labels, truncation;
  const float* unary;              // (labels, height, width)
  std::vector<float> least;        // of each pixel's costs
  std::vector<std::uint8_t> best;  // its label
  // After a row of zeros, for every pixel the weight between it and the one to its right, or
  // below it: 0 in the last column, or row. So what is left of the first column and above the
  // first row weighs nothing, too.
  std::vector<int> right, down;

  int pixels() const { return height * width; }
  int distance(int a, int b) const { return std::min(std::abs(a - b), truncation); }
  // How much more than the least of its costs a label of a pixel costs.
  int cost(int label, int p) const {
    const float above = unary[static_cast<std::size_t>(label) * pixels() + p] - least[p];
    return static_cast<int>(std::min(above * kCostScale, kMaxUnary) + 0.5f);
  }
  int weight_right(int p) const { return right[width + p]; }
  int weight_down(int p) const { return down[width + p]; }
  int weight_left(int p) const { return right[width + p - 1]; }
  int weight_up(int p) const { return down[p]; }
  int weight(int p) const {
    return weight_right(p) + weight_down(p) + weight_left(p) + weight_up(p);
  }
};

// Fills in the least cost of every pixel and its label. False if a cost is not finite.
inline bool find_best(Terms& terms) {
  constexpr std::int32_t kExponent = 0x7f800000;  // these bits are all set in NaN and inf alone
  const std::size_t width = terms.width, pixels = terms.pixels();
  terms.least.resize(pixels);
  terms.best.resize(pixels);
  std::vector<std::int32_t> best_of_row(width);
  std::int32_t* const best = best_of_row.data();
  std::int32_t bad = 0;
  for (std::size_t start = 0; start < pixels; start += width) {
    float* const least = &terms.least[start];
    std::fill(least, least + width, std::numeric_limits<float>::infinity());
    for (std::int32_t label = 0; label < terms.labels; ++label) {
      const float* const cost = terms.unary + label * pixels + start;
      for (std::size_t x = 0; x < width; ++x) {
        std::int32_t bits;
        std::memcpy(&bits, cost + x, sizeof bits);
        bad |= (bits & kExponent) == kExponent;
        // Without a branch, so that several pixels are worked on together.
        const float here = cost[x], before = least[x];
        const std::int32_t less = here < before ? -1 : 0;
        best[x] = (label & less) | (best[x] & ~less);
        least[x] = here < before ? here : before;
      }
    }
    std::copy(best, best + width, &terms.best[start]);
  }
  return bad == 0;
}

class Expansion {
 public:
  Expansion(const Terms& terms, const std::vector<std::uint8_t>& start)
      : terms_(terms),
        cut_(terms.height, terms.width),
        labels_(terms.pixels() + 2 * terms.width),
        member_(terms.pixels() + 2 * terms.width),
        cost_(terms.pixels()) {
    std::copy(start.begin(), start.end(), labels_.begin() + terms.width);
    for (int p = 0; p < terms.pixels(); ++p) cost_[p] = terms.cost(label(p), p);
  }

  int label(int p) const { return labels_[terms_.width + p]; }
  int cost(int p) const { return cost_[p]; }
  std::vector<std::uint8_t> labels() const {
    return {labels_.begin() + terms_.width, labels_.end() - terms_.width};
  }

  // Whether `p` could take `alpha` in the best move: if all its neighbours had it.
  bool may_take(int p, int alpha) const {
    return label(p) != alpha && terms_.cost(alpha, p) - cost_[p] <
                                    terms_.weight(p) * terms_.distance(label(p), alpha);
  }

  // The best move in which `members` alone may take `alpha`, which they do not have yet. Leaves
  // in `members` those that took it.
  void expand(int alpha, std::vector<int>& members) {
    for (int p : members) is_member(p) = 1;
    drop_hopeless(alpha, members);
    for (int p : members) {
      // terminal > 0 binds to the source side ("keep"), < 0 to the sink side ("take").
      cut_[p].terminal += terms_.cost(alpha, p) - cost_[p];
      add_pair(alpha, p, p - 1, terms_.weight_left(p), kLeft);
      add_pair(alpha, p, p - terms_.width, terms_.weight_up(p), kUp);
      add_pair(alpha, p, p + 1, terms_.weight_right(p), kRight);
      add_pair(alpha, p, p + terms_.width, terms_.weight_down(p), kDown);
    }
    cut_.solve(members);
    taken_.clear();
    std::copy_if(members.begin(), members.end(), std::back_inserter(taken_),
                 [this](int p) { return cut_.on_sink_side(p); });
    cut_.clear(members);
    for (int p : members) is_member(p) = 0;
    for (int p : taken_) {
      labels_[terms_.width + p] = static_cast<std::uint8_t>(alpha);
      cost_[p] = terms_.cost(alpha, p);
    }
    members.swap(taken_);
  }

 private:
  std::uint8_t& is_member(int p) { return member_[terms_.width + p]; }

  // Leaves out, one after the other, the members that keep their label whatever those beside
  // them do.
  void drop_hopeless(int alpha, std::vector<int>& members) {
    const int width = terms_.width;
    suspects_ = members;
    while (!suspects_.empty()) {
      const int p = suspects_.back();
      suspects_.pop_back();
      if (!is_member(p)) continue;
      const int step = terms_.distance(label(p), alpha);
      int gain = cost_[p] - terms_.cost(alpha, p);
      const auto add = [&](int q, int weight) {
        gain += weight * (is_member(q) ? step
                                       : terms_.distance(label(p), label(q)) -
                                             terms_.distance(alpha, label(q)));
      };
      add(p - 1, terms_.weight_left(p));
      add(p - width, terms_.weight_up(p));
      add(p + 1, terms_.weight_right(p));
      add(p + width, terms_.weight_down(p));
      if (gain > 0) continue;
      is_member(p) = 0;
      for (int q : {p - 1, p - width, p + 1, p + width}) {
        if (is_member(q)) suspects_.push_back(q);
      }
    }
    const auto dropped = [this](int p) { return !is_member(p); };
    members.erase(std::remove_if(members.begin(), members.end(), dropped), members.end());
  }

  // One pair's terms. A pair of members is added once, from its upper or left pixel.
  void add_pair(int alpha, int p, int q, int weight, Direction direction) {
    const int keep_keep = weight * terms_.distance(label(p), label(q));
    const int take_keep = weight * terms_.distance(alpha, label(q));
    if (!is_member(q)) {
      cut_[p].terminal += take_keep - keep_keep;
    } else if (direction == kRight || direction == kDown) {
      // The pair term as a constant, two terms of one pixel and one arc: Kolmogorov, Zabih, "What
      // Energy Functions Can Be Minimized via Graph Cuts?", PAMI 2004, section 4.1.
      const int keep_take = weight * terms_.distance(label(p), alpha);
      cut_[p].terminal += take_keep - keep_keep;
      cut_[q].terminal -= take_keep;
      cut_[p].capacity[direction] += keep_take + take_keep - keep_keep;
    }
  }

  const Terms& terms_;
  GridCut cut_;
  // Those that are asked for a pixel's neighbours have a row before the first and one after the
  // last.
  std::vector<std::uint8_t> labels_, member_;
  std::vector<int> cost_;  // of each pixel's label
  std::vector<int> suspects_, taken_;
};

// Expansion moves of all pixels, until a whole cycle of labels changes nothing or `max_cycles`
// have been done.
inline void expand_everywhere(const Terms& terms, int max_cycles, Expansion& expansion) {
  std::vector<int> members;
  int unchanged = 0;
  for (int move = 0; move < max_cycles * terms.labels && unchanged < terms.labels; ++move) {
    const int alpha = move % terms.labels;
    members.clear();
    for (int p = 0; p < terms.pixels(); ++p) {
      if (expansion.may_take(p, alpha)) members.push_back(p);
    }
    expansion.expand(alpha, members);
    unchanged = members.empty() ? unchanged + 1 : 0;
  }
}

}  // namespace focdepth

// Multi-label graph cut on an image grid: alpha-expansion moves, each solved by a max-flow
// on the 4-connected grid. Plain C interface, loaded with ctypes by graph_cut.py.
//
// Energy, all terms whole numbers so that the max-flow ends exactly:
//   E(l) = sum_p unary[l_p][p] + sum_pq weight_pq * min(|l_p - l_q|, truncation)
//
// Boykov, Veksler, Zabih, "Fast Approximate Energy Minimization via Graph Cuts", PAMI 2001
// (the expansion move); Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow
// Algorithms for Energy Minimization in Vision", PAMI 2004 (the max-flow: two search trees
// grown from source and sink, kept from one augmentation to the next).

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

namespace {

// Directions of the four arcs of a node; direction ^ 2 is the way back.
enum Direction : std::uint8_t { kRight = 0, kDown = 1, kLeft = 2, kUp = 3 };
// What a node's parent can be besides a direction.
enum Parent : std::uint8_t { kTerminal = 4, kOrphan = 5, kFree = 6 };

constexpr int kInfinity = std::numeric_limits<int>::max();

struct Node {
  int capacity[4];   // residual capacity towards each neighbour
  int terminal;      // residual capacity: > 0 from the source, < 0 to the sink
  int next_active;   // index + 1 in the queue of active nodes; 0: not queued; itself: last
  int stamp;         // when `distance` was last known to be right
  int distance;      // steps to the terminal
  std::uint8_t parent;
  bool in_sink_tree;
};

// Max-flow on a grid that has a border of unconnected nodes, so that every node has four
// neighbours in memory.
class GridCut {
 public:
  GridCut(int height, int width)
      : stride_(width + 2),
        offset_{1, stride_, -1, -stride_},
        nodes_(static_cast<std::size_t>(height + 2) * stride_) {}

  Node& at(int row, int column) { return nodes_[(row + 1) * stride_ + column + 1]; }
  bool on_sink_side(int row, int column) {
    const Node& node = at(row, column);
    return node.parent != kFree && node.in_sink_tree;
  }

  void clear() { std::fill(nodes_.begin(), nodes_.end(), Node{}); }

  void solve() {
    first_active_ = last_active_ = 0;
    orphans_.clear();
    time_ = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      node.next_active = 0;
      node.stamp = 0;
      node.distance = 1;
      node.parent = node.terminal == 0 ? kFree : kTerminal;
      node.in_sink_tree = node.terminal < 0;
      if (node.terminal != 0) activate(static_cast<int>(i));
    }
    int current = -1;
    while (true) {
      if (current < 0 || nodes_[current].parent == kFree) {
        current = next_active();
        if (current < 0) return;
      }
      int source_end = -1;
      std::uint8_t direction = 0;
      const bool found = grow(current, &source_end, &direction);
      ++time_;
      if (!found) {
        current = -1;
        continue;
      }
      augment(source_end, direction);
      adopt_orphans();
    }
  }

 private:
  void activate(int i) {
    if (nodes_[i].next_active != 0) return;
    nodes_[i].next_active = i + 1;  // points to itself: the last in the queue
    if (first_active_ == 0) {
      first_active_ = i + 1;
    } else {
      nodes_[last_active_ - 1].next_active = i + 1;
    }
    last_active_ = i + 1;
  }

  int next_active() {
    while (first_active_ != 0) {
      const int i = first_active_ - 1;
      first_active_ = nodes_[i].next_active == i + 1 ? 0 : nodes_[i].next_active;
      nodes_[i].next_active = 0;
      if (nodes_[i].parent != kFree) return i;
    }
    return -1;
  }

  // Residual capacity with which node `i` could extend its tree to its neighbour `j`.
  int growth_capacity(int i, int j, int direction) const {
    return nodes_[i].in_sink_tree ? nodes_[j].capacity[direction ^ 2]
                                  : nodes_[i].capacity[direction];
  }

  // Extend the tree of `i`; true when it meets the other tree, with the joining arc.
  bool grow(int i, int* source_end, std::uint8_t* joining) {
    const Node& node = nodes_[i];
    for (int direction = 0; direction < 4; ++direction) {
      const int j = i + offset_[direction];
      if (growth_capacity(i, j, direction) == 0) continue;
      Node& neighbour = nodes_[j];
      if (neighbour.parent == kFree) {
        neighbour.in_sink_tree = node.in_sink_tree;
        adopt(neighbour, direction ^ 2, node);
        activate(j);
      } else if (neighbour.in_sink_tree != node.in_sink_tree) {
        *source_end = node.in_sink_tree ? j : i;
        *joining = static_cast<std::uint8_t>(node.in_sink_tree ? direction ^ 2 : direction);
        return true;
      } else if (neighbour.stamp <= node.stamp && neighbour.distance > node.distance) {
        adopt(neighbour, direction ^ 2, node);  // a shorter way to the terminal
      }
    }
    return false;
  }

  void adopt(Node& child, int towards_parent, const Node& parent) {
    child.parent = static_cast<std::uint8_t>(towards_parent);
    child.stamp = parent.stamp;
    child.distance = parent.distance + 1;
  }

  // Arc that carries flow between a node and its parent, in the flow's direction.
  int& tree_capacity(int i) {
    const int towards = nodes_[i].parent;
    if (nodes_[i].in_sink_tree) return nodes_[i].capacity[towards];
    return nodes_[i + offset_[towards]].capacity[towards ^ 2];
  }

  void augment(int source_end, std::uint8_t direction) {
    const int ends[2] = {source_end, source_end + offset_[direction]};
    int flow = nodes_[source_end].capacity[direction];
    for (int end : ends) {
      int i = end;
      for (; nodes_[i].parent != kTerminal; i += offset_[nodes_[i].parent])
        flow = std::min(flow, tree_capacity(i));
      flow = std::min(flow, std::abs(nodes_[i].terminal));
    }
    nodes_[source_end].capacity[direction] -= flow;
    nodes_[ends[1]].capacity[direction ^ 2] += flow;
    for (int end : ends) {
      int i = end;
      while (nodes_[i].parent != kTerminal) {
        const int parent = i + offset_[nodes_[i].parent];
        const int towards = nodes_[i].parent;
        int& forward = tree_capacity(i);
        int& backward = nodes_[i].in_sink_tree ? nodes_[parent].capacity[towards ^ 2]
                                               : nodes_[i].capacity[towards];
        forward -= flow;
        backward += flow;
        if (forward == 0) orphan(i);
        i = parent;
      }
      nodes_[i].terminal += nodes_[i].in_sink_tree ? flow : -flow;
      if (nodes_[i].terminal == 0) orphan(i);
    }
  }

  void orphan(int i) {
    nodes_[i].parent = kOrphan;
    orphans_.push_back(i);
  }

  void adopt_orphans() {
    for (std::size_t k = 0; k < orphans_.size(); ++k) find_parent(orphans_[k]);
    orphans_.clear();
  }

  // Steps from `i` to its terminal, or kInfinity if its tree branch has been cut off.
  int distance_to_terminal(int i) {
    int steps = 0;
    while (nodes_[i].stamp != time_) {
      const std::uint8_t parent = nodes_[i].parent;
      ++steps;
      if (parent == kTerminal) {
        nodes_[i].stamp = time_;
        nodes_[i].distance = 1;
        return steps;
      }
      if (parent == kOrphan) return kInfinity;
      i += offset_[parent];
    }
    return steps + nodes_[i].distance;
  }

  void find_parent(int i) {
    Node& node = nodes_[i];
    int best = -1;
    int best_distance = kInfinity;
    for (int direction = 0; direction < 4; ++direction) {
      const int j = i + offset_[direction];
      if (!may_adopt(i, j, direction)) continue;
      int distance = distance_to_terminal(j);
      if (distance == kInfinity) continue;
      if (distance < best_distance) {
        best = direction;
        best_distance = distance;
      }
      for (int k = j; nodes_[k].stamp != time_; k += offset_[nodes_[k].parent]) {
        nodes_[k].stamp = time_;
        nodes_[k].distance = distance--;
      }
    }
    if (best >= 0) {
      node.parent = static_cast<std::uint8_t>(best);
      node.stamp = time_;
      node.distance = best_distance + 1;
      return;
    }
    for (int direction = 0; direction < 4; ++direction) {
      const int j = i + offset_[direction];
      Node& neighbour = nodes_[j];
      if (neighbour.parent == kFree || neighbour.in_sink_tree != node.in_sink_tree) continue;
      if (may_adopt(i, j, direction)) activate(j);
      if (neighbour.parent == (direction ^ 2)) orphan(j);
    }
    node.parent = kFree;
  }

  // Whether neighbour `j` is in the same tree as `i` and has capacity left to hold it.
  bool may_adopt(int i, int j, int direction) const {
    const Node& neighbour = nodes_[j];
    if (neighbour.parent == kFree || neighbour.in_sink_tree != nodes_[i].in_sink_tree) return false;
    return (nodes_[i].in_sink_tree ? nodes_[i].capacity[direction]
                                   : neighbour.capacity[direction ^ 2]) > 0;
  }

  int stride_;
  int offset_[4];
  std::vector<Node> nodes_;
  std::vector<int> orphans_;
  int first_active_ = 0;
  int last_active_ = 0;
  int time_ = 0;
};

struct Problem {
  const std::int32_t* unary;         // (labels, height, width)
  const std::int32_t* weight_right;  // (height, width): between a pixel and the one to its right
  const std::int32_t* weight_down;   // (height, width): between a pixel and the one below
  int height, width, labels, truncation;

  std::size_t pixels() const { return static_cast<std::size_t>(height) * width; }
  int distance(int a, int b) const { return std::min(std::abs(a - b), truncation); }
};

std::int64_t energy_of(const Problem& problem, const std::uint8_t* labels) {
  std::int64_t energy = 0;
  for (int y = 0; y < problem.height; ++y) {
    for (int x = 0; x < problem.width; ++x) {
      const std::size_t p = static_cast<std::size_t>(y) * problem.width + x;
      energy += problem.unary[labels[p] * problem.pixels() + p];
      if (x + 1 < problem.width)
        energy += static_cast<std::int64_t>(problem.weight_right[p]) *
                  problem.distance(labels[p], labels[p + 1]);
      if (y + 1 < problem.height)
        energy += static_cast<std::int64_t>(problem.weight_down[p]) *
                  problem.distance(labels[p], labels[p + problem.width]);
    }
  }
  return energy;
}

// One pair's terms of the expansion move. A pixel on the sink side takes `alpha`; a pixel
// that has it already is the same on both sides and stands outside the graph.
void add_pair(const Problem& problem, int alpha, int weight, int label_p, int label_q, Node& p,
              Node& q, int direction) {
  if (weight == 0) return;
  const int keep_keep = weight * problem.distance(label_p, label_q);
  const int keep_take = weight * problem.distance(label_p, alpha);
  const int take_keep = weight * problem.distance(alpha, label_q);
  if (label_p == alpha) {
    q.terminal -= take_keep;
    return;
  }
  if (label_q == alpha) {
    p.terminal -= keep_take;
    return;
  }
  // The pair term as a constant, two terms of one pixel and one arc: Kolmogorov, Zabih, "What
  // Energy Functions Can Be Minimized via Graph Cuts?", PAMI 2004, section 4.1.
  p.terminal += take_keep - keep_keep;
  q.terminal -= take_keep;
  p.capacity[direction] += keep_take + take_keep - keep_keep;
}

bool expand(const Problem& problem, int alpha, std::uint8_t* labels, GridCut& cut) {
  cut.clear();
  const std::int32_t* alpha_cost = problem.unary + alpha * problem.pixels();
  for (int y = 0; y < problem.height; ++y) {
    for (int x = 0; x < problem.width; ++x) {
      const std::size_t p = static_cast<std::size_t>(y) * problem.width + x;
      Node& node = cut.at(y, x);
      // terminal > 0 binds to the source side ("keep"), < 0 to the sink side ("take").
      if (labels[p] != alpha)
        node.terminal += alpha_cost[p] - problem.unary[labels[p] * problem.pixels() + p];
      if (x + 1 < problem.width)
        add_pair(problem, alpha, problem.weight_right[p], labels[p], labels[p + 1], node,
                 cut.at(y, x + 1), kRight);
      if (y + 1 < problem.height)
        add_pair(problem, alpha, problem.weight_down[p], labels[p], labels[p + problem.width], node,
                 cut.at(y + 1, x), kDown);
    }
  }
  cut.solve();
  bool changed = false;
  for (int y = 0; y < problem.height; ++y) {
    for (int x = 0; x < problem.width; ++x) {
      std::uint8_t& label = labels[static_cast<std::size_t>(y) * problem.width + x];
      if (label != alpha && cut.on_sink_side(y, x)) {
        label = static_cast<std::uint8_t>(alpha);
        changed = true;
      }
    }
  }
  return changed;
}

}  // namespace

extern "C" {

// Lowers the energy of `labels` (height, width), given as the start and overwritten, by
// expansion moves until a whole cycle changes nothing or `max_cycles` have been done.
// Returns the energy reached, or -1 if memory ran out.
std::int64_t focdepth_alpha_expansion(const std::int32_t* unary, const std::int32_t* weight_right,
                                      const std::int32_t* weight_down, std::int32_t height,
                                      std::int32_t width, std::int32_t labels_count,
                                      std::int32_t truncation, std::int32_t max_cycles,
                                      std::uint8_t* labels) try {
  const Problem problem{unary, weight_right, weight_down, height, width, labels_count, truncation};
  GridCut cut(height, width);
  // A move can be left out once every other label has been tried since the last change.
  int unchanged = 0;
  for (int move = 0; move < max_cycles * labels_count && unchanged < labels_count; ++move) {
    unchanged = expand(problem, move % labels_count, labels, cut) ? 0 : unchanged + 1;
  }
  return energy_of(problem, labels);
} catch (const std::bad_alloc&) {
  return -1;
}

}  // extern "C"

// Max-flow on a 4-connected grid.
//
// Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow Algorithms for Energy
// Minimization in Vision", PAMI 2004: two search trees grown from source and sink, kept from one
// augmentation to the next.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

namespace focdepth {

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
  int distance = 1;  // steps to the terminal
  std::uint8_t parent = kFree;
  bool in_sink_tree;
};

// Max-flow between those nodes of a grid that are listed. Nodes are counted row by row: the
// neighbour to the right of a row's last one is the next row's first, and their arc must have no
// capacity. A row before the first and one after the last stand in for missing neighbours.
class GridCut {
 public:
  GridCut(int height, int width)
      : margin_(width),
        offset_{1, width, -1, -width},
        nodes_(static_cast<std::size_t>(height + 2) * width) {}

  Node& operator[](int i) { return nodes_[margin_ + i]; }

  bool on_sink_side(int i) const {
    const Node& node = nodes_[margin_ + i];
    return node.parent != kFree && node.in_sink_tree;
  }

  void clear(const std::vector<int>& members) {
    for (int i : members) (*this)[i] = Node{};
  }

  // Members are as new again after `clear`, and need not be the same the next time.
  void solve(const std::vector<int>& members) {
    first_active_ = last_active_ = 0;
    orphans_.clear();
    time_ = 0;
    for (int member : members) {
      for (int direction = 0; direction < 4; ++direction) push(margin_ + member, direction);
    }
    for (int member : members) {
      const int i = margin_ + member;
      Node& node = nodes_[i];
      if (node.terminal == 0) continue;
      node.parent = kTerminal;
      node.in_sink_tree = node.terminal < 0;
      activate(i);
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
  // What can flow from the source to the sink by way of one arc, found without a search.
  void push(int i, int direction) {
    Node& node = nodes_[i];
    Node& neighbour = nodes_[i + offset_[direction]];
    const int flow = std::min({node.terminal, -neighbour.terminal, node.capacity[direction]});
    if (flow <= 0) return;
    node.terminal -= flow;
    neighbour.terminal += flow;
    node.capacity[direction] -= flow;
    neighbour.capacity[direction ^ 2] += flow;
  }

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

  int margin_;
  int offset_[4];
  std::vector<Node> nodes_;
  std::vector<int> orphans_;
  int first_active_ = 0;
  int last_active_ = 0;
  int time_ = 0;
};

}  // namespace focdepth

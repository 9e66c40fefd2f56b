// Max-flow on a 4-connected grid.
//
// Boykov, Kolmogorov, "An Experimental Comparison of Min-Cut/Max-Flow Algorithms for Energy
// Minimization in Vision", PAMI 2004: a search tree that is kept from one augmentation to the
// next. Of the two trees of that paper only the sink's is grown: in an expansion move few pixels
// change, so it stays small.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace focdepth {

// Directions of the four arcs of a node; direction ^ 2 is the way back.
enum Direction : std::uint8_t { kRight = 0, kDown = 1, kLeft = 2, kUp = 3 };
// What a node's parent can be besides a direction.
enum Parent : std::uint8_t { kSink = 4, kOrphan = 5, kFree = 6 };

constexpr int kInfinity = std::numeric_limits<int>::max();

struct Node {
  int capacity[4];   // residual capacity towards each neighbour
  int terminal;      // residual capacity: > 0 from the source, < 0 to the sink
  int next_active;   // index + 1 in the queue of active nodes; 0: not queued; itself: last
  int stamp;         // when `distance` was last known to be right
  int distance = 1;  // steps to the sink
  std::uint8_t parent = kFree;
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

  // Whether flow could still go from node `i` to the sink.
  bool on_sink_side(int i) const { return nodes_[margin_ + i].parent != kFree; }

  // Members are as new again after `clear`, and need not be the same the next time.
  void clear(const std::vector<int>& members) {
    for (int i : members) (*this)[i] = Node{};
  }

  void solve(const std::vector<int>& members) {
    time_ = 0;
    for (int member : members) {
      for (int direction = 0; direction < 4; ++direction) push(margin_ + member, direction);
    }
    for (int member : members) {
      const int i = margin_ + member;
      if (nodes_[i].terminal >= 0) continue;
      nodes_[i].parent = kSink;
      activate(i);
    }
    for (int i = next_active(); i >= 0; i = next_active()) grow(i);
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

  // Takes the neighbours from which flow can come into the tree. What they have from the source
  // is sent down the tree at once.
  void grow(int i) {
    for (int direction = 0; direction < 4 && nodes_[i].parent != kFree; ++direction) {
      const int j = i + offset_[direction];
      Node& neighbour = nodes_[j];
      if (neighbour.capacity[direction ^ 2] == 0) continue;
      const Node& node = nodes_[i];
      if (neighbour.parent == kFree) {
        adopt(neighbour, direction ^ 2, node);
        activate(j);
        while (neighbour.terminal > 0 && neighbour.parent != kFree) augment(j);
      } else if (neighbour.stamp <= node.stamp && neighbour.distance > node.distance + 1) {
        adopt(neighbour, direction ^ 2, node);  // a shorter way to the sink
      }
    }
  }

  void adopt(Node& child, int towards_parent, const Node& parent) {
    child.parent = static_cast<std::uint8_t>(towards_parent);
    child.stamp = parent.stamp;
    child.distance = parent.distance + 1;
  }

  // Sends what node `start` has from the source down the tree, as much as goes.
  void augment(int start) {
    int flow = nodes_[start].terminal;
    int i = start;
    for (; nodes_[i].parent != kSink; i += offset_[nodes_[i].parent]) {
      flow = std::min(flow, nodes_[i].capacity[nodes_[i].parent]);
    }
    flow = std::min(flow, -nodes_[i].terminal);
    nodes_[start].terminal -= flow;
    for (i = start; nodes_[i].parent != kSink;) {
      const int towards = nodes_[i].parent;
      const int parent = i + offset_[towards];
      nodes_[parent].capacity[towards ^ 2] += flow;
      if ((nodes_[i].capacity[towards] -= flow) == 0) orphan(i);
      i = parent;
    }
    if ((nodes_[i].terminal += flow) == 0) orphan(i);
    ++time_;
    for (std::size_t k = 0; k < orphans_.size(); ++k) find_parent(orphans_[k]);
    orphans_.clear();
  }

  void orphan(int i) {
    nodes_[i].parent = kOrphan;
    orphans_.push_back(i);
  }

  // Steps from `i` to the sink, or kInfinity if its branch of the tree has been cut off.
  int distance_to_sink(int i) {
    int steps = 0;
    while (nodes_[i].stamp != time_) {
      const std::uint8_t parent = nodes_[i].parent;
      ++steps;
      if (parent == kSink) {
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
      if (node.capacity[direction] == 0 || nodes_[j].parent == kFree) continue;
      int distance = distance_to_sink(j);
      if (distance == kInfinity) continue;
      if (distance < best_distance) {
        best = direction;
        best_distance = distance;
        if (nodes_[j].parent == kSink) break;  // nothing is nearer
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
      if (nodes_[j].parent == kFree) continue;
      if (node.capacity[direction] != 0) activate(j);
      if (nodes_[j].parent == (direction ^ 2)) orphan(j);
    }
    node.parent = kFree;
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

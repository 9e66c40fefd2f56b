// Weighted median of the neighbours of every pixel, the weights from a guide image and a weight
// per pixel. Plain C interface, loaded with ctypes by weighted_median.py.
//
// All numbers are 16 bits wide, and eight pixels that lie side by side in a row are worked on
// together, in the vector types that GCC and Clang have on every processor. The weights of a
// window are worked out once; the median is then found by bisection.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>

namespace {

constexpr int kLanes = 8;
constexpr int kMaxSide = 15;      // samples along a side of the window
constexpr int kFullWeight = 127;  // 7 bits: of a pixel's weight, and of the closeness of two
constexpr int kLargest = INT16_MAX;

typedef std::int16_t Lanes __attribute__((vector_size(kLanes * sizeof(std::int16_t))));

inline Lanes load(const std::int16_t* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

inline Lanes max(Lanes a, Lanes b) { return a > b ? a : b; }
inline Lanes min(Lanes a, Lanes b) { return a < b ? a : b; }

struct Planes {
  const std::int16_t* values;
  const std::int16_t* weights;
  const std::int16_t* guide;  // one plane per channel
  std::ptrdiff_t plane;       // elements from channel to channel
  int channels;
};

struct Window {
  std::ptrdiff_t offsets[kMaxSide * kMaxSide];
  int count;
  int shift;  // that makes the sum of the weights fit
};

Window make_window(int radius, std::ptrdiff_t stride) {
  const int half_side = kMaxSide / 2;
  const int step = std::max((radius + half_side - 1) / half_side, 1);
  const int reach = radius / step * step;
  Window window;
  window.count = 0;
  for (int dy = -reach; dy <= reach; dy += step) {
    for (int dx = -reach; dx <= reach; dx += step) {
      window.offsets[window.count++] = dy * stride + dx;
    }
  }
  const int largest = (kFullWeight * kFullWeight >> 6) * kFullWeight;
  window.shift = 0;
  while (window.count * ((largest >> window.shift) + 1) > kLargest) ++window.shift;
  return window;
}

// Division by 2^shift, rounded: cut off, small weights would count for too little.
inline Lanes scaled_down(Lanes lanes, int shift) {
  return (lanes + static_cast<std::int16_t>((1 << shift) >> 1)) >> shift;
}

// Medians of the pixels from `centre` on; -1 where all weights are 0.
Lanes medians(const Planes& in, const Window& window, std::ptrdiff_t centre) {
  Lanes weights[kMaxSide * kMaxSide];
  Lanes total{};
  Lanes low = Lanes{} + kLargest;
  Lanes high{};
  for (int k = 0; k < window.count; ++k) {
    const std::ptrdiff_t there = centre + window.offsets[k];
    Lanes difference{};
    for (int channel = 0; channel < in.channels; ++channel) {
      const std::int16_t* guide = in.guide + channel * in.plane;
      const Lanes d = load(guide + there) - load(guide + centre);
      difference = max(difference, max(d, -d));
    }
    const Lanes closeness = max(kFullWeight - difference, Lanes{});
    const Lanes alike = scaled_down(closeness * closeness, 6);
    const Lanes weight = scaled_down(alike * load(in.weights + there), window.shift);
    const Lanes value = load(in.values + there);
    const Lanes counts = weight > 0;
    weights[k] = weight;
    total += weight;
    low = min(low, value | (~counts & kLargest));
    high = max(high, value & counts);
  }
  const Lanes empty = total == 0;
  const Lanes half = (total + 1) >> 1;

  int range = 0;
  for (int i = 0; i < kLanes; ++i) range = std::max(range, high[i] - low[i]);
  // Down to the smallest value up to which half of the weight lies.
  for (; range > 0; range /= 2) {
    const Lanes middle = low + ((high - low) >> 1);
    Lanes up_to_middle{};
    for (int k = 0; k < window.count; ++k) {
      const Lanes value = load(in.values + centre + window.offsets[k]);
      up_to_middle += (value <= middle) & weights[k];
    }
    const Lanes reached = up_to_middle >= half;
    low = reached ? low : min(middle + 1, high);
    high = reached ? middle : high;
  }
  return low | empty;
}

void work_on_rows(const Planes& planes, const Window& window, std::ptrdiff_t width, int radius,
                  std::ptrdiff_t first_row, std::ptrdiff_t last_row, std::int16_t* answer) {
  const std::ptrdiff_t stride = width + 2 * radius;
  for (std::ptrdiff_t row = first_row; row < last_row; ++row) {
    const std::ptrdiff_t start = (row + radius) * stride + radius;
    for (std::ptrdiff_t column = 0; column < width; column += kLanes) {
      const Lanes found = medians(planes, window, start + column);
      std::memcpy(answer + row * width + column, &found, sizeof found);
    }
  }
}

}  // namespace

// values, weights: (height + 2 radius, stride); guide: (channels, height + 2 radius, stride);
// answer: (height, stride - 2 radius), a multiple of 8. The planes have a margin of `radius` on
// all sides. Values are 0..32767, weights 0..127, and a difference of 127 in the guide gives no
// weight. Of a radius above 7, every second, third … row and column of the window is looked at.
// As many threads work side by side as are asked for and can be had.
extern "C" void focdepth_weighted_median(const std::int16_t* values, const std::int16_t* weights,
                                         const std::int16_t* guide, std::int32_t channels,
                                         std::int32_t height, std::int32_t stride,
                                         std::int32_t radius, std::int32_t threads,
                                         std::int16_t* answer) {
  const std::ptrdiff_t width = stride - 2 * radius;
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(height + 2 * radius) * stride;
  const Planes planes{values, weights, guide, plane, channels};
  const Window window = make_window(radius, stride);
  const auto work_on_band = [&](int band) {
    work_on_rows(planes, window, width, radius, std::int64_t{height} * band / threads,
                 std::int64_t{height} * (band + 1) / threads, answer);
  };
  std::vector<std::thread> others;
  int band = 1;
  try {
    for (; band < threads; ++band) others.emplace_back(work_on_band, band);
  } catch (const std::exception&) {  // no more threads to be had: this one does the rest
  }
  work_on_band(0);
  for (; band < threads; ++band) work_on_band(band);
  for (std::thread& other : others) other.join();
}

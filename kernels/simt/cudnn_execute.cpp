// Computes the graphs of the stand-in for cuDNN: one convolution in any direction, then pointwise additions and activations. Sums are
// float, results are rounded to the tensor's type once.
#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <utility>

#include "kernels/dtype.hpp"
#include "kernels/simt/cudnn_graph.hpp"
#include "kernels/simt/stream.hpp"

namespace ptrain::simt {
namespace {

// A tensor of the graph: where it lies (nowhere when virtual), sizes and strides in N C H W.
struct View {
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int64_t uid = 0, n = 1, c = 1, h = 1, w = 1;
  int64_t sn = 0, sc = 0, sh = 0, sw = 0;
  bool is_virtual = false;
  void* data = nullptr;

  int64_t size() const { return n * c * h * w; }
  int64_t extent() const { return (n - 1) * sn + (c - 1) * sc + (h - 1) * sh + (w - 1) * sw + 1; }
  int64_t bytes() const { return extent() * (type == CUDNN_DATA_FLOAT ? 4 : 2); }
  float load(int64_t i) const {
    if (type == CUDNN_DATA_HALF) return float(static_cast<const Float16*>(data)[i]);
    if (type == CUDNN_DATA_BFLOAT16) return float(static_cast<const BFloat16*>(data)[i]);
    return static_cast<const float*>(data)[i];
  }
  void store(int64_t i, float v) const {
    if (type == CUDNN_DATA_HALF) static_cast<Float16*>(data)[i] = Float16(v);
    else if (type == CUDNN_DATA_BFLOAT16) static_cast<BFloat16*>(data)[i] = BFloat16(v);
    else static_cast<float*>(data)[i] = v;
  }
};

// Values in N H W C order, as float.
using Values = std::vector<float>;

template <class F>
void for_each_place(const View& v, F&& f) {
  int64_t i = 0;
  for (int64_t n = 0; n < v.n; ++n)
    for (int64_t h = 0; h < v.h; ++h)
      for (int64_t w = 0; w < v.w; ++w)
        for (int64_t c = 0; c < v.c; ++c, ++i) f(size_t(i), n * v.sn + c * v.sc + h * v.sh + w * v.sw);
}
Values read(const View& v, bool tf32) {
  Values out(size_t(v.size()));
  for_each_place(v, [&](size_t i, int64_t at) { out[i] = v.load(at); });
  if (tf32)  // ten bits of mantissa, to nearest
    for (float& x : out) x = std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 0x1000u) & ~0x1fffu);
  return out;
}
void write(const View& v, const Values& values) {
  for_each_place(v, [&](size_t i, int64_t at) { v.store(at, values[i]); });
}

struct Convolution {
  View x, w, y;
  int64_t pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1;

  // Calls f(x row, w row, y row) for each pair of an output pixel and a pixel of its window; rows are all channels of a pixel.
  template <class F>
  void walk(F&& f) const {
    for (int64_t n = 0; n < y.n; ++n)
      for (int64_t p = 0; p < y.h; ++p)
        for (int64_t q = 0; q < y.w; ++q)
          for (int64_t r = 0; r < w.h; ++r)
            for (int64_t s = 0; s < w.w; ++s) {
              const int64_t i = p * stride_h - pad_h + r, j = q * stride_w - pad_w + s;
              if (i >= 0 && i < x.h && j >= 0 && j < x.w) f(((n * x.h + i) * x.w + j) * x.c, (r * w.w + s) * x.c, ((n * y.h + p) * y.w + q) * y.c);
            }
  }
  int64_t filter_stride() const { return w.h * w.w * w.c; }  // from one output channel to the next
};

float dot(const float* a, const float* b, int64_t n) {
  float part[16] = {};
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int64_t j = 0; j < 16; ++j) part[j] += a[i + j] * b[i + j];
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float v : part) sum += v;
  return sum;
}
void add_scaled(float f, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += f * x[i];
}

Values forward(const Convolution& c, bool tf32) {
  const Values x = read(c.x, tf32), w = read(c.w, tf32);
  Values y(size_t(c.y.size()));
  c.walk([&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < c.y.c; ++k) y[size_t(yi + k)] += dot(&x[size_t(xi)], &w[size_t(k * c.filter_stride() + wi)], c.x.c);
  });
  return y;
}
Values backward_data(const Convolution& c, bool tf32) {
  const Values dy = read(c.y, tf32), w = read(c.w, tf32);
  Values dx(size_t(c.x.size()));
  c.walk([&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < c.y.c; ++k) add_scaled(dy[size_t(yi + k)], &w[size_t(k * c.filter_stride() + wi)], &dx[size_t(xi)], c.x.c);
  });
  return dx;
}
Values backward_filter(const Convolution& c, bool tf32) {
  const Values x = read(c.x, tf32), dy = read(c.y, tf32);
  Values dw(size_t(c.w.size()));
  c.walk([&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < c.y.c; ++k) add_scaled(dy[size_t(yi + k)], &x[size_t(xi)], &dw[size_t(k * c.filter_stride() + wi)], c.x.c);
  });
  return dw;
}

struct Pointwise {
  cudnnPointwiseMode_t mode;
  View b;
  float clip;
};

// What a plan does, taken out of its descriptors so that it can run later.
struct Program {
  cudnnBackendDescriptorType_t direction;
  Convolution conv;
  std::vector<Pointwise> after;
  View result;
  bool tf32 = false;
  void* workspace = nullptr;

  void run() const {
    std::memset(workspace, 0xff, size_t(kWorkspace));
    Values v = direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? forward(conv, tf32)
               : direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? backward_data(conv, tf32)
                                                                                           : backward_filter(conv, tf32);
    for (const Pointwise& p : after) {
      if (p.mode == CUDNN_POINTWISE_RELU_FWD) {
        for (float& x : v) x = x < 0 ? 0 : x > p.clip ? p.clip : x;  // a NaN stays one
        continue;
      }
      const Values b = read(p.b, false);
      for (size_t i = 0; i < v.size(); ++i) v[i] += b[b.size() == v.size() ? i : i % b.size()];
    }
    write(result, v);
  }
};

View view_of(const Bag& t) {
  const auto d = t.numbers(CUDNN_ATTR_TENSOR_DIMENSIONS), s = t.numbers(CUDNN_ATTR_TENSOR_STRIDES);
  View v{.type = t.values<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE).at(0), .uid = t.numbers(CUDNN_ATTR_TENSOR_UNIQUE_ID).at(0), .n = d.at(0), .c = d.at(1),
         .h = d.at(2), .w = d.at(3), .sn = s.at(0), .sc = s.at(1), .sh = s.at(2), .sw = s.at(3)};
  v.is_virtual = t.has(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && t.values<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL).at(0);
  return v;
}

// Gives a tensor its place from the variant pack. Not empty: what is wrong with it.
std::string bind(View& v, const Bag& tensor, const Bag& pack) {
  if (v.is_virtual) return "";
  const auto uids = pack.numbers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.values<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  const auto it = std::find(uids.begin(), uids.end(), v.uid);
  if (it == uids.end()) return concat("the variant pack lacks tensor ", v.uid);
  v.data = pointers.at(size_t(it - uids.begin()));
  if (!on_device(v.data, size_t(v.bytes()))) return concat("tensor ", v.uid, " does not lie in device memory in full");
  const int64_t alignment = tensor.numbers(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT).at(0);
  if (reinterpret_cast<uintptr_t>(v.data) % uintptr_t(alignment) != 0) return concat("tensor ", v.uid, " is not aligned to ", alignment, " bytes as it says");
  return "";
}

bool has_clip(const Bag& graph) {
  for (const Bag* op : graph.bags(CUDNN_ATTR_OPERATIONGRAPH_OPS))
    if (op->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR && op->bag(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)->has(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP))
      return true;
  return false;
}

}  // namespace

ConvRoles roles_of(const Bag& op) {
  switch (op.type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return {op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W),
              op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC)};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return {op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W),
              op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC)};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
      return {op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW),
              op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY), op.bag(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC)};
    default: return {};
  }
}

std::vector<int64_t> offered_engines(const Bag& graph, cudnnBackendHeurMode_t mode) {
  if (mode == CUDNN_HEUR_MODE_FALLBACK) return {kGenericEngine};
  const Bag* first = graph.bags(CUDNN_ATTR_OPERATIONGRAPH_OPS).at(0);
  const ConvRoles c = roles_of(*first);
  if (has_clip(graph) || view_of(*c.w).type != view_of(*c.x).type) return {};  // the real ones have none that sums half types into a float filter
  if (view_of(*c.x).type == CUDNN_DATA_FLOAT) return {kTf32Engine, kBrokenEngine, kGoodEngine};
  return {kBrokenEngine, kGoodEngine};
}

std::string execute(cudaStream_t stream, const Bag& plan, const Bag& pack) {
  const Bag* config = plan.bag(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const std::vector<const Bag*> ops = config->graph->bags(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  Program program{.direction = ops.at(0)->type};
  program.tf32 = config->engine == kTf32Engine;
  const ConvRoles roles = roles_of(*ops.at(0));
  Convolution& c = program.conv;
  c.x = view_of(*roles.x), c.w = view_of(*roles.w), c.y = view_of(*roles.y);
  for (const auto& [view, bag] : {std::pair{&c.x, roles.x}, {&c.w, roles.w}, {&c.y, roles.y}})
    if (const std::string problem = bind(*view, *bag, pack); !problem.empty()) return problem;
  const auto pad = roles.conv->numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), stride = roles.conv->numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  c.pad_h = pad.at(0), c.pad_w = pad.at(1), c.stride_h = stride.at(0), c.stride_w = stride.at(1);
  program.result = program.direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? c.y
                   : program.direction == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? c.x
                                                                                                       : c.w;
  for (size_t i = 1; i < ops.size(); ++i) {
    const Bag& op = *ops[i];
    if (op.type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) return "only pointwise operations can follow a convolution";
    if (view_of(*op.bag(CUDNN_ATTR_OPERATION_POINTWISE_XDESC)).uid != program.result.uid) return "an operation does not read what the one before wrote";
    const Bag* what = op.bag(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    Pointwise p{.mode = what->values<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE).at(0), .b = {}, .clip = std::numeric_limits<float>::infinity()};
    if (what->has(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP)) p.clip = float(what->values<double>(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP).at(0));
    if (const Bag* b = op.bag(CUDNN_ATTR_OPERATION_POINTWISE_BDESC)) {
      p.b = view_of(*b);
      if (const std::string problem = bind(p.b, *b, pack); !problem.empty()) return problem;
    }
    program.after.push_back(p);
    const Bag* y = op.bag(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    program.result = view_of(*y);
    if (const std::string problem = bind(program.result, *y, pack); !problem.empty()) return problem;
  }
  if (program.result.is_virtual) return "the last result is virtual";
  const auto workspace = pack.values<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  if (workspace.empty() || !on_device(workspace[0], size_t(kWorkspace))) return "the workspace is missing or too small";
  program.workspace = workspace[0];
  enqueue(stream, [program = std::make_shared<Program>(std::move(program))] { program->run(); });
  return "";
}

}  // namespace ptrain::simt

#include "kernels/cuda/conv_graph.hpp"

#include <algorithm>
#include <functional>

namespace ptrain::cuda {
namespace {

enum Uid : int64_t { kX = 1, kW, kY, kBias, kResidual, kFirstVirtual };

cudnnDataType_t cudnn_type(DType t) {
  switch (t) {
    case DType::float32: return CUDNN_DATA_FLOAT;
    case DType::float16: return CUDNN_DATA_HALF;
    case DType::bfloat16: return CUDNN_DATA_BFLOAT16;
    default: fail(ErrorKind::failed, "cuDNN: no convolution in ", str(t));
  }
}

// n images of h × w pixels with c channels, channels innermost. cuDNN writes sizes as N C H W whatever the layout is.
Descriptor tensor(int64_t uid, DType type, int64_t n, int64_t c, int64_t h, int64_t w, int64_t alignment, bool is_virtual = false) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, cudnn_type(type))
      .numbers(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w})
      .numbers(CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, 1, w * c, c})
      .numbers(CUDNN_ATTR_TENSOR_UNIQUE_ID, {uid})
      .numbers(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {alignment});
  if (is_virtual) d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true);
  d.finalize();
  return d;
}

Descriptor convolution(const ConvShape& s) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  d.numbers(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
      .numbers(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {s.pad_h, s.pad_w})
      .numbers(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {s.pad_h + s.more_h, s.pad_w + s.more_w})
      .numbers(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1})
      .numbers(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {s.stride, s.stride})
      .finalize();
  return d;
}

Descriptor pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b, const Descriptor& y, Act act = Act::none) {
  Descriptor what(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  what.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  if (act == Act::relu6) what.set(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 6.0);
  what.finalize();
  Descriptor op(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, what).set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b) op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y).finalize();
  return op;
}

// The operations of a key.
Descriptor graph(const ConvKey& key) {
  const ConvShape& s = key.shape;
  const int64_t align = key.alignment;
  const bool fused = key.kind == ConvKind::fused;
  const Descriptor x = tensor(kX, key.type, s.n, s.c, s.h, s.w, align);
  const Descriptor w = tensor(kW, key.kind == ConvKind::backward_filter ? key.filter : key.type, s.k, s.c, s.r, s.s, align);
  const Descriptor conv = convolution(s);
  std::vector<Descriptor> ops;
  const auto between = [&](int64_t i) { return tensor(kFirstVirtual + i, DType::float32, s.n, s.k, s.p(), s.q(), align, true); };
  const Descriptor y = tensor(kY, key.type, s.n, s.k, s.p(), s.q(), align);
  const Descriptor sum = fused ? between(0) : tensor(kY, key.type, s.n, s.k, s.p(), s.q(), align);
  switch (key.kind) {
    case ConvKind::forward:
    case ConvKind::fused:
      ops.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
      ops.back()
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, sum)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, conv)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0)
          .finalize();
      break;
    case ConvKind::backward_data:
      ops.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
      ops.back()
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, x)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, y)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, conv)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0)
          .finalize();
      break;
    case ConvKind::backward_filter:
      ops.emplace_back(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
      ops.back()
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, w)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, y)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, conv)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0)
          .finalize();
      break;
  }
  if (fused) {
    // The order conv, residual, bias, activation, and a bias of the tensors' type: the pattern that cuDNN has ready-made engines for.
    const Descriptor bias = tensor(kBias, key.type, 1, s.k, 1, 1, 16);
    const Descriptor residual = tensor(kResidual, key.type, s.n, s.k, s.p(), s.q(), align);
    const Descriptor added = between(1), biased = between(2);
    const bool act = key.act != Act::none;
    if (key.residual) ops.push_back(pointwise(CUDNN_POINTWISE_ADD, sum, &residual, added));
    ops.push_back(pointwise(CUDNN_POINTWISE_ADD, key.residual ? added : sum, &bias, act ? biased : y));
    if (act) ops.push_back(pointwise(CUDNN_POINTWISE_RELU_FWD, biased, nullptr, y, key.act));
  }
  Descriptor g(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  g.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, ops).finalize();
  return g;
}

// What cuDNN's heuristics offer for this graph on this card, best first.
std::vector<Descriptor> offers(const Descriptor& graph, const Descriptor& device, cudnnBackendHeurMode_t mode) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph).set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  std::vector<Descriptor> found;
  if (cudnnBackendFinalize(heuristics.get()) != CUDNN_STATUS_SUCCESS) return found;  // this list has nothing for such a graph
  int64_t count = 0;
  GPU_CHECK(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) raw.push_back(found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
  GPU_CHECK(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data()));
  found.erase(found.begin() + count, found.end());
  for (Descriptor& config : found) config.keep(heuristics);
  return found;
}

struct EngineFacts {
  int64_t index = -1;
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool has(cudnnBackendNumericalNote_t n) const { return std::find(notes.begin(), notes.end(), n) != notes.end(); }
};
EngineFacts facts_of(const Descriptor& config) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  int64_t count = 0;
  GPU_CHECK(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw));
  EngineFacts f;
  f.index = engine.number(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  f.notes.resize(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  GPU_CHECK(cudnnBackendGetAttribute(engine.get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, int64_t(f.notes.size()), &count,
                                     f.notes.data()));
  f.notes.resize(size_t(count));
  return f;
}

// Why an engine must not be used for this key, or nothing.
std::string objection(const ConvKey& key, const EngineFacts& f, bool chance_allowed) {
  if (f.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)) return "it narrows its inputs";
  if (f.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return "it sums in a narrow type";
  if (key.type == DType::float32 && !key.tf32 && f.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) return "it computes in TF32";
  if (!chance_allowed && f.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return "its sums depend on chance";
  return "";
}

// Calls take(plan) for each plan that may be used, best first, until it returns true.
void search(const ConvKey& key, const Descriptor& device, const PlanLimits& limits, PlanSearch& s, const std::function<bool(std::unique_ptr<ConvPlan>)>& take) {
  const Descriptor g = graph(key);
  for (const bool chance_allowed : {false, true})
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      const std::vector<Descriptor> configs = offers(g, device, mode);
      s.offered += int64_t(configs.size());
      s.fallback = mode == CUDNN_HEUR_MODE_FALLBACK;
      for (const Descriptor& config : configs) {
        const EngineFacts facts = facts_of(config);
        if (chance_allowed && !facts.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) continue;  // was tried
        s.why = objection(key, facts, chance_allowed);
        if (s.why.empty()) {
          Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
          plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config).set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
          if (cudnnBackendFinalize(plan.get()) == CUDNN_STATUS_SUCCESS) {
            auto built = std::make_unique<ConvPlan>(std::move(plan), facts.index);
            if (built->workspace() <= limits.workspace) {
              if (take(std::move(built))) return;
              continue;
            }
            s.why = concat("it wants ", built->workspace(), " bytes of workspace");
          } else {
            char detail[1024] = {};
            cudnnGetLastErrorString(detail, sizeof detail);
            s.why = detail;
          }
        }
        ++s.refused;
      }
    }
}

}  // namespace

std::string str(const ConvKey& k) {
  const char* const kinds[] = {"forward", "backward-data", "backward-filter", "fused"};
  const ConvShape& s = k.shape;
  const char* const acts[] = {"", ", relu", ", relu6"};
  return concat(kinds[int(k.kind)], " ", str(k.type), " ", s.n, "x", s.h, "x", s.w, "x", s.c, " -> ", s.p(), "x", s.q(), "x", s.k, ", window ", s.r, "x", s.s,
                ", stride ", s.stride, ", padding ", s.pad_h, ",", s.pad_w, " + ", s.more_h, ",", s.more_w, k.residual ? ", residual" : "",
                acts[int(k.act)], k.tf32 ? ", TF32" : "");
}

Descriptor device_from_id(int device) {
  Descriptor d(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  const int32_t id = device;
  d.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id).finalize();
  return d;
}
Descriptor device_from_json(const std::string& properties) {
  Descriptor d(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  d.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, properties).finalize();
  return d;
}

void ConvPlan::execute(cudnnHandle_t handle, const Pointers& p) const {
  std::vector<int64_t> uids{kX, kW, kY};
  std::vector<void*> pointers{p.x, p.w, p.y};
  if (p.bias) uids.push_back(kBias), pointers.push_back(p.bias);
  if (p.residual) uids.push_back(kResidual), pointers.push_back(p.residual);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.numbers(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, uids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, std::vector<void*>{p.workspace})
      .finalize();
  GPU_CHECK(cudnnBackendExecute(handle, plan_.get(), pack.get()));
}

PlanSearch find_plan(const ConvKey& key, const Descriptor& device, const PlanLimits& limits) {
  PlanSearch s;
  search(key, device, limits, s, [&](std::unique_ptr<ConvPlan> plan) {
    s.plan = std::move(plan);
    return true;
  });
  return s;
}

std::vector<std::unique_ptr<ConvPlan>> all_plans(const ConvKey& key, const Descriptor& device, const PlanLimits& limits) {
  PlanSearch s;
  std::vector<std::unique_ptr<ConvPlan>> plans;
  search(key, device, limits, s, [&](std::unique_ptr<ConvPlan> plan) {
    plans.push_back(std::move(plan));
    return false;
  });
  return plans;
}

}  // namespace ptrain::cuda

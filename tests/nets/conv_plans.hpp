// defines: the convolutions of the five nets as cuDNN is asked for them, and what cuDNN says on a card that is only described by a file
#pragma once

#include <set>

#include "kernels/cuda/conv_graph.hpp"
#include "kernels/meta/meta.hpp"
#include "nets/build.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

// Every convolution (depthwise ones have kernels of our own) of a net at this batch: forward and both backward passes of training, and the
// fused ones of the frozen chain.
inline void add_convs(std::set<cuda::ConvKey>& keys, const NetInfo& net, int64_t n, DType type) {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::meta});
  Params params = build(features_of(net), {1, net.input_size, net.input_size, 3});
  params.allocate(open_device({DeviceKind::reference}), DType::float32);  // folding a batch norm reads its values
  const auto pass = [&](ScopeOptions options) {
    meta::MetaExec exec;
    Tape tape;
    Context c{memory->backend(), exec, memory, tape};
    Scope scope(c, params, options);
    const Tensor y = net.features(scope, c.tensor({n, net.input_size, net.input_size, 3}, type));
    if (options.record) tape.backward(c, y, c.like(y));
    for (const meta::Cost& cost : exec.costs) {
      if (cost.conv.n == 0) continue;
      const std::string op = cost.op;
      const bool then_norm = op == "conv_norm_infer";  // a kernel of its own there
      cuda::ConvKey key{
          .shape = cost.conv, .type = type, .filter = type, .act = then_norm ? Act::none : cost.act, .residual = cost.residual};
      key.kind = op == "conv_forward" || then_norm ? cuda::ConvKind::forward
                 : op == "conv_backward_data"      ? cuda::ConvKind::backward_data
                 : op == "conv_backward_filter"    ? cuda::ConvKind::backward_filter
                                                   : cuda::ConvKind::fused;
      keys.insert(key);
    }
  };
  params.set_compute_type(type, [](const std::string&) { return true; });
  pass({.record = true});
  FrozenWeights packed;
  pass({.frozen = &packed});
}

inline std::set<cuda::ConvKey> convs(int64_t n, DType type) {
  std::set<cuda::ConvKey> keys;
  for (const NetInfo& net : net_table()) add_convs(keys, net, n, type);
  return keys;
}

inline const std::vector<std::string> kCards{"t4", "a100", "rtx4090", "h100", "b200", "rtx5090"};

// One line of docs/cuda-plans.tsv: what became of the keys of one card, type, batch and kind.
struct PlanCount {
  std::string card, type, kind;
  int64_t batch = 0, convolutions = 0;
  int64_t heuristics = 0;  // the plan is from the heuristics' list
  int64_t fallback = 0;    // from their fallback list
  int64_t padded = 0;      // only after a kernel of ours has padded the input
  int64_t split = 0;       // fused: a plan for the convolution, a kernel of ours for the rest
  int64_t none = 0;
  int64_t workspace = 0;  // the largest, bytes
  std::string missing;    // the first convolution without a plan, and why
};

inline std::vector<std::string> columns(const PlanCount& c) {
  std::vector<std::string> texts{c.card, c.type, std::to_string(c.batch), c.kind};
  for (const int64_t v : {c.convolutions, c.heuristics, c.fallback, c.padded, c.split, c.none, c.workspace})
    texts.push_back(std::to_string(v));
  return texts;
}
inline const std::vector<std::string> kColumns{"card",     "type",   "batch", "kind", "convolutions", "heuristics",
                                               "fallback", "padded", "split", "none", "workspace"};

// Asks the real cuDNN for a plan of each key, as the backend does (kernels/cuda/plans.cpp, fused.cpp).
class PlanBuilder {
 public:
  PlanBuilder(const std::string& card, DType type, int64_t batch)
      : card_(card),
        type_(type),
        batch_(batch),
        device_(cuda::device_from_json(read_file(folder() / (card + ".json")))) {}
  static std::filesystem::path folder() { return source_dir() / "kernels" / "cuda" / "cards"; }

  std::vector<PlanCount> count(const std::set<cuda::ConvKey>& keys) {
    const char* const kinds[] = {"forward", "backward_data", "backward_filter", "fused"};
    std::vector<PlanCount> counts;
    for (const char* kind : kinds) counts.push_back({.card = card_, .type = str(type_), .kind = kind, .batch = batch_, .missing = {}});
    for (const cuda::ConvKey& key : keys) add(counts[size_t(key.kind)], key);
    return counts;
  }

 private:
  void add(PlanCount& c, const cuda::ConvKey& key) {
    ++c.convolutions;
    cuda::PlanSearch found = cuda::find_plan(key, device_);
    if (key.kind == cuda::ConvKind::fused && (!found.plan || found.plan->engine() == 0)) {
      cuda::ConvKey alone = key;
      alone.kind = cuda::ConvKind::forward, alone.act = Act::none, alone.residual = false;
      found = cuda::find_plan(alone, device_);
      if (!found.plan) found = cuda::find_plan(padded(alone), device_);
      c.split += bool(found.plan);
    } else if (!found.plan && (key.shape.more_h != 0 || key.shape.more_w != 0)) {
      found = cuda::find_plan(padded(key), device_);
      c.padded += bool(found.plan);
    } else if (found.plan) {
      ++(found.fallback ? c.fallback : c.heuristics);
    }
    if (found.plan) {
      c.workspace = std::max(c.workspace, found.plan->workspace());
    } else {
      if (c.none++ == 0) c.missing = str(key) + ": " + found.why;
    }
  }

  static cuda::ConvKey padded(cuda::ConvKey key) {
    ConvShape& s = key.shape;
    s.h += 2 * s.pad_h + s.more_h, s.w += 2 * s.pad_w + s.more_w;
    s.pad_h = s.pad_w = s.more_h = s.more_w = 0;
    return key;
  }

  std::string card_;
  DType type_;
  int64_t batch_;
  cuda::Descriptor device_;
};

// The line of docs/cuda-plans.tsv must say the same.
inline void same_as_documented(const PlanCount& c) {
  static const std::vector<Row> documented = read_tsv(source_dir() / "docs" / "cuda-plans.tsv");
  const std::vector<std::string> now = columns(c);
  for (const Row& row : documented) {
    if (row.at("card") != c.card || row.at("type") != c.type || row.at("kind") != c.kind || row.at("batch") != std::to_string(c.batch))
      continue;
    for (size_t i = 0; i < kColumns.size(); ++i) {
      INFO(c.card, " ", c.type, " batch ", c.batch, " ", c.kind, ", column ", kColumns[i], "; without a plan: ", c.missing);
      CHECK(now[i] == row.at(kColumns[i]));
    }
    return;
  }
  FAIL("docs/cuda-plans.tsv has no line for ", c.card, " ", c.type, " batch ", c.batch, " ", c.kind);
}

}  // namespace ptrain::test

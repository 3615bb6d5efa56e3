// defines: what this backend needs of oneDNN: Engine, CpuExec (primitive cache, scratch memory), Operation (a primitive with its operands)
#pragma once

#include <array>
#include <compare>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "kernels/backend.hpp"
#include "kernels/cpu/memory.hpp"

namespace ptrain::cpu {

struct Engine {
  dnnl::engine handle{dnnl::engine::kind::cpu, 0};
};

inline dnnl::memory::data_type dnnl_type(DType t) {
  return t == DType::bfloat16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

enum class OpKind : uint8_t { forward, backward_data, backward_filter, fused, dense_forward, dense_backward_data, dense_backward_filter };

// What tells one primitive from another. A dense layer is a convolution of 1×1 images.
struct OpKey {
  OpKind kind;
  DType type = DType::float32, filter = DType::float32;  // of the activations; of w or dw
  Accumulate how = Accumulate::no;
  Act act = Act::none;
  bool residual = false;
  ConvShape shape;
  auto operator<=>(const OpKey&) const = default;
};

class Operation;

// One worker's side of the device. Its primitives are created for its number of threads, and only it runs them.
class CpuExec final : public Exec {
 public:
  CpuExec(const Engine& engine, int threads);
  ~CpuExec() override;
  void* scratch(int64_t bytes) override;
  void synchronize() override {}

  const dnnl::engine& engine() const { return engine_.handle; }
  const dnnl::stream& stream() const { return stream_; }
  // The primitive of this key: made by make(exec, key) the first time. Also tells OpenMP the number of threads that it needs.
  using Maker = std::unique_ptr<Operation> (*)(CpuExec&, const OpKey&);
  Operation& operation(const OpKey& key, Maker make);
  // The i-th of threads() Execs of one thread each, for work whose parts are independent; the Exec itself when it has but one thread.
  CpuExec& worker(int i) { return workers_.empty() ? *this : *workers_[size_t(i)]; }

 private:
  const Engine& engine_;
  dnnl::stream stream_;
  std::vector<std::unique_ptr<CpuExec>> workers_;
  Block scratch_;
  std::map<OpKey, std::unique_ptr<Operation>> operations_;
};

inline CpuExec& cpu_exec(Exec& e) { return static_cast<CpuExec&>(e); }

// An operand of a primitive: the layout in which callers hold it, and the one that the primitive asked for. A result that is added
// to what is there is computed in float32 (in both layouts), so that a sum in bfloat16 is rounded once.
struct Operand {
  enum Role : uint8_t { read, written, added_to_float32, added_to_bfloat16 };
  int arg;  // DNNL_ARG_…
  dnnl::memory::desc ours, theirs;
  Role role = read;
  bool is_added() const { return role >= added_to_float32; }
};

// Where an operand is: values in our layout, or a memory object that is already in the primitive's (packed weights).
struct Address {
  Address(void* d) : data(d) {}
  Address(const dnnl::memory& m) : memory(&m) {}
  void* data = nullptr;
  const dnnl::memory* memory = nullptr;
};

// Owns a primitive and a memory object for each operand. run() takes addresses in the order of the operands. An operand whose
// layout the primitive does not like goes through scratch memory: reordered there before the run, or back after it. A result that
// is to be added to what is there goes through scratch memory too.
class Operation {
 public:
  Operation(CpuExec& exec, dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, const std::vector<Operand>& operands);
  void run(CpuExec& exec, std::initializer_list<Address> addresses);
  dnnl::memory::desc layout(size_t operand) const { return slots_[operand].theirs.get_desc(); }

 private:
  // One operand; at: its place in scratch memory, in each layout, where it goes there.
  struct Slot {
    Operand operand;
    dnnl::memory ours, theirs;
    dnnl::primitive reorder;  // empty when both layouts are the same
    int64_t ours_at = -1, theirs_at = -1;
  };
  int64_t reserve(const dnnl::memory::desc& desc);
  void place(CpuExec& exec, Slot& slot, void* data, char* scratch);
  void finish(CpuExec& exec, Slot& slot, void* data, char* scratch);

  dnnl::primitive primitive_;
  dnnl::memory scratchpad_;
  int64_t scratchpad_at_ = 0, scratch_bytes_ = 0;
  std::vector<Slot> slots_;
};

// Calls f(); what oneDNN throws becomes our Error, which says what was being made.
template <class F>
decltype(auto) explain(const Exec& exec, const char* what, F&& f) {
  try {
    return f();
  } catch (const dnnl::error& e) {
    fail(e.status == dnnl_out_of_memory ? ErrorKind::device : ErrorKind::failed, "oneDNN: ", what, exec.label.empty() ? "" : " in ",
         exec.label, ": ", e.what());
  }
}

}  // namespace ptrain::cpu

#include "kernels/cpu/onednn.hpp"

#include <dnnl_debug.h>
#include <omp.h>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

void check(dnnl_status_t status) { dnnl::error::wrap_c_api(status, dnnl_status2str(status)); }

void set_address(const dnnl::memory& m, void* data) { check(dnnl_memory_set_data_handle_v2(m.get(), data, nullptr)); }

// dnnl::primitive::execute builds two containers a call; this does not.
void execute(const dnnl::primitive& primitive, const dnnl::stream& stream, const dnnl_exec_arg_t* args, int count) {
  check(dnnl_primitive_execute(primitive.get(), stream.get(), count, args));
}

}  // namespace

CpuBackend::CpuBackend() : engine_(std::make_unique<Engine>()) {}
CpuBackend::~CpuBackend() = default;

bool CpuBackend::supports(DType t) const {
  if (t == DType::bfloat16) {
    const auto isa = dnnl::get_effective_cpu_isa();
    return isa == dnnl::cpu_isa::avx512_core || isa == dnnl::cpu_isa::avx512_core_vnni || isa == dnnl::cpu_isa::avx512_core_bf16 ||
           isa == dnnl::cpu_isa::avx512_core_amx;
  }
  return t == DType::float32 || t == DType::uint8 || t == DType::int32;
}

std::unique_ptr<Exec> CpuBackend::make_exec(int threads) { return std::make_unique<CpuExec>(*engine_, threads); }

CpuExec::CpuExec(const Engine& engine, int threads) : Exec(threads), engine_(engine), stream_(engine.handle) {
  REQUIRE_THAT(threads >= 1, "an Exec of ", threads, " threads");
  if (threads > 1)
    for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<CpuExec>(engine, 1));
}

CpuExec::~CpuExec() = default;

void* CpuExec::scratch(int64_t bytes) {
  if (bytes > scratch_.bytes()) {
    scratch_ = Block();  // first: it need not live beside the larger one
    scratch_ = Block(bytes);
  }
  return scratch_.data();
}

Operation& CpuExec::operation(const OpKey& key, Maker make) {
  omp_set_num_threads(threads());  // of this thread; oneDNN asks for it when it creates a primitive and when it runs one
  std::unique_ptr<Operation>& found = operations_[key];
  if (!found) found = explain(*this, "creating a primitive", [&] { return make(*this, key); });
  return *found;
}

int64_t Operation::reserve(const dnnl::memory::desc& desc) {
  const int64_t at = scratch_bytes_;
  scratch_bytes_ += (int64_t(desc.get_size()) + 63) / 64 * 64;
  return at;
}

Operation::Operation(CpuExec& exec, dnnl::primitive primitive, const dnnl::memory::desc& scratchpad, const std::vector<Operand>& operands)
    : primitive_(std::move(primitive)),
      scratchpad_(scratchpad, exec.engine(), nullptr) {
  for (const Operand& o : operands) {
    Slot slot{.operand = o, .ours = {o.ours, exec.engine(), nullptr}, .theirs = {o.theirs, exec.engine(), nullptr}, .reorder = {}};
    if (o.theirs != o.ours) {
      const bool in = o.role == Operand::read;
      slot.reorder = dnnl::reorder({exec.engine(), in ? o.ours : o.theirs, exec.engine(), in ? o.theirs : o.ours});
      slot.theirs_at = reserve(o.theirs);
    }
    if (o.is_added()) slot.ours_at = reserve(o.ours);
    slots_.push_back(std::move(slot));
  }
  scratchpad_at_ = reserve(scratchpad);
}

// Gives the memory objects of an operand their addresses, and brings an input into the primitive's layout.
void Operation::place(CpuExec& exec, Slot& slot, void* data, char* scratch) {
  void* const ours = slot.ours_at >= 0 ? scratch + slot.ours_at : data;
  if (!slot.reorder) return set_address(slot.theirs, ours);
  set_address(slot.ours, ours);
  set_address(slot.theirs, scratch + slot.theirs_at);
  if (slot.operand.role != Operand::read) return;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, slot.ours.get()}, {DNNL_ARG_TO, slot.theirs.get()}};
  execute(slot.reorder, exec.stream(), args, 2);
}

// Brings an output back into our layout, and adds it to what is there if that was asked for.
void Operation::finish(CpuExec& exec, Slot& slot, void* data, char* scratch) {
  if (slot.operand.role == Operand::read) return;
  if (slot.reorder) {
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, slot.theirs.get()}, {DNNL_ARG_TO, slot.ours.get()}};
    execute(slot.reorder, exec.stream(), args, 2);
  }
  if (!slot.operand.is_added()) return;
  const float* from = reinterpret_cast<const float*>(scratch + slot.ours_at);
  with_type(slot.operand.role == Operand::added_to_float32 ? DType::float32 : DType::bfloat16, [&]<class T>(T) {
    T* to = static_cast<T*>(data);
    parallel(exec, int64_t(slot.operand.ours.get_size() / sizeof(float)), 1, [&](Part part) {
#pragma omp simd
      for (int64_t i = part.begin; i < part.end; ++i) to[i] = T(float(to[i]) + from[i]);
    });
  });
}

void Operation::run(CpuExec& exec, std::initializer_list<Address> addresses) {
  explain(exec, "running a primitive", [&] {
    constexpr int kMost = 8;
    dnnl_exec_arg_t args[kMost];
    REQUIRE_THAT(addresses.size() == slots_.size() && addresses.size() < kMost, "an Operation of ", slots_.size(), " operands got ",
                 addresses.size());
    char* scratch = static_cast<char*>(exec.scratch(scratch_bytes_));
    int count = 0;
    for (const Address& a : addresses) {
      Slot& slot = slots_[size_t(count)];
      if (!a.memory) place(exec, slot, a.data, scratch);
      args[count++] = {slot.operand.arg, (a.memory ? *a.memory : slot.theirs).get()};
    }
    set_address(scratchpad_, scratch + scratchpad_at_);
    args[count++] = {DNNL_ARG_SCRATCHPAD, scratchpad_.get()};
    execute(primitive_, exec.stream(), args, count);
    size_t i = 0;
    for (const Address& a : addresses) {
      if (!a.memory) finish(exec, slots_[i], a.data, scratch);
      ++i;
    }
  });
}

}  // namespace ptrain::cpu

namespace ptrain {
std::shared_ptr<Backend> make_cpu_backend() { return std::make_shared<cpu::CpuBackend>(); }
}  // namespace ptrain

// Every operation on a device against the reference, and how fast it is.
#include <chrono>
#include <cmath>

#include "tools/ptrain/selftest.hpp"

namespace ptrain::cli {
namespace {

double rounding_of(DType t) {
  return t == DType::float16 ? 0x1p-11 : t == DType::bfloat16 ? 0x1p-8 : t == DType::float64 ? 0x1p-53 : 0x1p-24;
}

// The arguments of a case on one device.
class Run {
 public:
  Run(const OpCase& c, const std::shared_ptr<Memory>& memory) : case_(c), memory_(memory), exec_(memory->backend().make_exec(1)) {
    for (size_t k = 0; k < c.args.size(); ++k) {
      const OpCase::Arg& arg = c.args[k];
      std::vector<double> values(static_cast<size_t>(arg.size));
      for (int64_t i = 0; i < arg.size; ++i) values[size_t(i)] = arg.value(k + 1, i);
      tensors_.push_back(Tensor::from(values, {arg.size}, arg.type, memory));
      buffers_.push_back(tensors_.back().buffer());
    }
  }
  void operator()() { case_.run(memory_->backend(), *exec_, buffers_); }
  void wait() { exec_->synchronize(); }
  std::vector<double> result(size_t k) const { return tensors_[k].to_doubles(); }

 private:
  const OpCase& case_;
  std::shared_ptr<Memory> memory_;
  std::unique_ptr<Exec> exec_;
  std::vector<Tensor> tensors_;
  std::vector<Buffer> buffers_;
};

// |got − want| ≤ atol + rtol·|want|: a sum in float32 errs by about (8·√terms + terms/2) roundings of its largest term. Both results are
// rounded to their type: where the sum lies between two numbers of it, one may go up and the other down. Packed half-precision weights are
// rounded once more.
struct Allowed {
  double atol, rtol;
};
Allowed allowed(const OpCase& c, DType type, DType out) {
  const double terms = double(c.terms), r = rounding_of(out);
  double atol = (8 * std::sqrt(terms) + terms / 2) * 0x1p-24 * c.size + (out == DType::float16 ? 0x1p-24 : 0);
  if (c.packed && rounding_of(type) > 0x1p-24) atol += rounding_of(type) * std::sqrt(terms) * c.size;
  return {atol, 2.02 * r + 0x1p-23};
}

double seconds_now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The mean of as many calls as a tenth of a second holds, the best of three.
double time_of(const OpCase& c, const std::shared_ptr<Memory>& memory) {
  Run run(c, memory);
  run(), run.wait();
  double best = INFINITY;
  for (int round = 0; round < 3; ++round) {
    int64_t calls = 0, burst = 1;
    const double began = seconds_now();
    double taken = 0;
    for (; taken < 0.1; taken = seconds_now() - began, burst *= 2) {
      for (int64_t i = 0; i < burst; ++i) run();
      run.wait();
      calls += burst;
    }
    best = std::min(best, taken / double(calls));
  }
  return best;
}

int64_t bytes_of(const OpCase& c) {
  if (c.moved > 0) return c.moved;
  int64_t bytes = 0;
  for (const OpCase::Arg& a : c.args) bytes += a.size * size_of(a.type);
  return bytes;
}

}  // namespace

void selftest_ops(const Selftest& test, DType type) {
  const std::shared_ptr<Memory> reference = open_device({DeviceKind::reference});
  for (const OpCase& c : op_cases(type, false, 2)) {
    SelftestCheck check{.group = "operation", .name = c.name, .type = str(type), .passed = true, .note = ""};
    try {
      Run here(c, test.memory), there(c, reference);
      here(), here.wait(), there(), there.wait();
      double worst = -1;  // error as a fraction of what is allowed
      for (size_t k = 0; k < c.args.size(); ++k) {
        if (!c.args[k].compared) continue;
        const std::vector<double> got = here.result(k), want = there.result(k);
        const Allowed a = is_floating(c.args[k].type) ? allowed(c, type, c.args[k].type) : Allowed{0, 0};
        for (size_t i = 0; i < want.size(); ++i) {
          const double error = got[i] == want[i] ? 0 : std::fabs(got[i] - want[i]), tolerance = a.atol + a.rtol * std::fabs(want[i]);
          const double share = error == 0 ? 0 : std::isfinite(error) && tolerance > 0 ? error / tolerance : INFINITY;
          if (!(share > worst)) continue;
          worst = share, check.error = error, check.tolerance = tolerance;
          if (share > 1) check.passed = false, check.note = concat("argument ", k, ", element ", i, ": ", got[i], " instead of ", want[i]);
        }
      }
    } catch (const Error& e) {
      check.passed = false, check.note = e.what();
    }
    test.report(check);
  }
}

std::vector<SelftestSpeed> selftest_speed(const Selftest& test, DType type) {
  std::vector<SelftestSpeed> all;
  double most_bytes = 0, most_flops = 0;
  const int64_t batch = test.memory->backend().is_host() ? 4 : 32;
  for (const OpCase& c : op_cases(type, true, batch)) {
    const double t = time_of(c, test.memory);
    SelftestSpeed s{.name = c.name,
                    .type = str(type),
                    .microseconds = t * 1e6,
                    .gigabytes_per_s = double(bytes_of(c)) / t / 1e9,
                    .gigaflops = 2 * double(c.macs) / t / 1e9};
    most_bytes = std::max(most_bytes, s.gigabytes_per_s);
    most_flops = std::max(most_flops, s.gigaflops);
    all.push_back(s);
  }
  for (SelftestSpeed& s : all) s.share = std::max(s.gigabytes_per_s / most_bytes, s.gigaflops / most_flops);
  return all;
}

}  // namespace ptrain::cli

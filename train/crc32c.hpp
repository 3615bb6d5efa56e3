// defines: crc32c(), the checksum of TFRecord files
#pragma once

#include <cstdint>
#include <string_view>

namespace ptrain {

// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as in RFC 3720): "123456789" gives 0xE3069283.
uint32_t crc32c(std::string_view bytes);

}  // namespace ptrain

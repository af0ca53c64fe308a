import { Controller, Get, Header } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Registry } from 'prom-client';
import { Endpoint, text } from '../http/endpoint';

@ApiTags('Operations')
@Controller('metrics')
export class MetricsController {
  constructor(private readonly registry: Registry) {}

  @Get()
  @Header('content-type', Registry.PROMETHEUS_CONTENT_TYPE)
  @Endpoint('getMetrics', {
    summary: 'Read the metrics of this process',
    scope: 'ops',
    description: 'In the text format of Prometheus.',
    answers: {
      200: text(
        'The metrics.',
        '# TYPE batchwise_commands_total counter\nbatchwise_commands_total{command="Allocate",outcome="ok"} 42',
      ),
    },
  })
  metrics(): Promise<string> {
    return this.registry.metrics();
  }
}
